"""Matching of taxon names in trees, tolerating small differences in spelling.

Programs exchange blanks and underscores, and editors exchange composed and decomposed characters
(Unicode Standard Annex 15: é as one character, NFC, or as e and an accent, NFD). Names are kept
unchanged; only the search for a name ignores such differences, and only if there is a single
candidate.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["TaxonIndex", "spelling_key"]

_BLANK = re.compile(r"\s")


def spelling_key(name: str) -> str:
    """Return a key that is equal for names that differ only in blanks and Unicode normal form."""
    if name.isascii() and " " not in name:
        return _BLANK.sub("_", name)
    return _BLANK.sub("_", unicodedata.normalize("NFC", name))


class TaxonIndex(Mapping[str, int]):
    """The number of each taxon by its name.

    Iterating gives the names; looking up also finds other spellings (see `spelling_key`) and
    aliases, unless several taxa share them.

    Parameters
    ----------
    names : sequence of str, length n
        The taxa; taxon i is ``names[i]``.
    aliases : mapping of str to int
        Further names of taxa.

    Examples
    --------
    >>> index = TaxonIndex(["Homo sapiens", "Pan"])
    >>> index["Homo_sapiens"], "Gorilla" in index
    (0, False)
    """

    def __init__(self, names: Sequence[str], aliases: Mapping[str, int] | None = None) -> None:
        self._numbers = {name: number for number, name in enumerate(names)}
        self._others: dict[str, int | None] = {}
        for name, number in self._numbers.items():
            self._add(spelling_key(name), number)
        for name, number in (aliases or {}).items():
            for spelling in {name, spelling_key(name)}:
                self._add(spelling, number)

    def _add(self, spelling: str, number: int) -> None:
        if self._others.setdefault(spelling, number) != number:
            self._others[spelling] = None  # several taxa: none of them

    def __getitem__(self, name: str) -> int:
        number = self._number(name)
        if number is None:
            raise KeyError(name)
        return number

    def _number(self, name: str) -> int | None:
        number = self._numbers.get(name)
        if number is None:
            number = self._others.get(name)
        return self._others.get(spelling_key(name)) if number is None else number

    def get(self, name: str, default: Any = None) -> Any:
        """Return the number of a taxon, or `default` if there is none of that name."""
        number = self._number(name)
        return default if number is None else number

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)
