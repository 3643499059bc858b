r"""Lists of characters and of taxa in NEXUS files, such as ``1 4-7 10-.\3 wings 'Aus bus'``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from gfncore.text.numbers import NumberError, parse_int
from phylogfn.errors import AlignmentError
from phylogfn.text.quoting import unquote

__all__ = ["MemberLists", "folded", "split_words"]

_QUOTED = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\")")
_RANGE = re.compile(r"([0-9]+|\.)(?:-([0-9]+|\.))?(?:\\([0-9]+))?$")


def folded(name: str) -> str:
    """Return a name for comparison: case, Unicode form, and blank or underscore do not count."""
    return re.sub(r"[\s_]+", " ", unicodedata.normalize("NFC", name)).lower()


def split_words(text: str) -> list[tuple[str, bool]]:
    r"""Return the words of a list and whether each was quoted; ``4 - 7 \ 3`` is one word."""
    words: list[tuple[str, bool]] = []
    for number, part in enumerate(_QUOTED.split(text)):
        if number % 2:
            words.append((unquote(part) if part[0] == "'" else part[1:-1], True))
        else:
            joined = re.sub(r"\s*([-\\])\s*", r"\1", part)
            words.extend((word, False) for word in joined.split())
    return words


class MemberLists:
    """Characters, or taxa, by number, range, name, or the name of a set.

    Parameters
    ----------
    kind : str
        "character" or "taxon", for messages.
    count : int
        How many there are.
    names : sequence of str
        Their names in order; may be shorter than `count`.
    names_first : bool
        Whether a name that looks like a number is a name (so with taxa) or a number.
    special : callable, optional
        Returns the members of a set that is defined by the data, such as ``constant``; None for
        any other word.

    Attributes
    ----------
    used : set of str
        The sets that lists named, other than lists that define a set.
    """

    def __init__(
        self,
        kind: str,
        count: int,
        names: Sequence[str],
        *,
        names_first: bool = False,
        special: Callable[[str], Sequence[int] | None] = lambda word: None,
    ) -> None:
        self.kind = kind
        self.count = count
        self.names_first = names_first
        self.special = special
        self.used: set[str] = set()
        self._sets: dict[str, Sequence[int] | AlignmentError] = {}
        self._needs: dict[str, set[str]] = {}
        self._exact = {name: i for i, name in enumerate(names)}
        self._loose = {folded(name): i for i, name in enumerate(names)}

    def define(self, name: str, place: str, text: str, vector: bool) -> None:
        """Define a set; errors in it are raised when the set is used."""
        used, self.used = self.used, set()
        try:
            self._sets[folded(name)] = self.members(place, text, vector)
        except AlignmentError as problem:
            self._sets[folded(name)] = problem
        self._needs[folded(name)] = self.used
        self.used = used

    def members(self, place: str, text: str, vector: bool = False) -> list[int]:
        """Return the members of a list, or a vector of 0 and 1, counted from 0 and ascending.

        Raises
        ------
        AlignmentError
            A word is not a member; the message starts with `place`.
        """
        if vector:
            return self._vector(place, text)
        found: set[int] = set()
        for word, quoted in split_words(text):
            found.update(self._members(place, word, quoted))
        return sorted(found)

    def _vector(self, place: str, text: str) -> list[int]:
        flags = "".join(text.split())
        if len(flags) != self.count or set(flags) - set("01"):
            raise AlignmentError(
                f"{place}: a vector consists of {self.count} digits 0 or 1 (found {len(flags)} "
                "characters); correct it"
            )
        return [i for i, flag in enumerate(flags) if flag == "1"]

    def _members(self, place: str, word: str, quoted: bool) -> Iterable[int]:
        if not quoted and word.lower() == "all":
            return range(self.count)
        key = folded(word)
        if key in self._sets:
            self.used |= {key, *self._needs[key]}
            members = self._sets[key]
            if isinstance(members, AlignmentError):
                raise members
            return members
        number = None if quoted else _RANGE.match(word)
        named = self._exact.get(word, self._loose.get(key))
        if named is not None and (self.names_first or number is None):
            return (named,)
        if number is not None:
            return self._range(place, word, number)
        special = None if quoted else self.special(word.lower())
        if special is not None:
            return special
        ends = [self._loose[end] for end in map(folded, word.split("-")) if end in self._loose]
        if not quoted and word.count("-") == 1 and len(ends) == 2:
            return range(min(ends), max(ends) + 1)
        sets = "charset" if self.kind == "character" else "taxset"
        raise AlignmentError(
            f"{place}: {word!r} is not a {self.kind}; give numbers, ranges, names or a {sets} "
            "defined before it"
        )

    def _range(self, place: str, word: str, match: re.Match[str]) -> Iterable[int]:
        high = max(self.count, 1)
        try:
            first, last = (
                self.count if end == "." else parse_int(end, 1, high)
                for end in (match[1], match[2] or match[1])
            )
            step = parse_int(match[3] or "1", 1)
        except NumberError:
            first, last, step = 1, 0, 1
        if first > last:
            raise AlignmentError(
                f"{place}: {word if len(word) < 40 else word[:37] + '...'!r} is not a range of the "
                f"{self.count} {'characters' if self.kind == 'character' else 'taxa'}; correct it"
            )
        return range(first - 1, last, step)
