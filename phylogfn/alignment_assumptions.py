"""Weights, types and exclusions of characters: ASSUMPTIONS and SETS blocks of NEXUS files.

Read are OPTIONS DEFTYPE, TYPESET, WTSET, EXSET and CHARSET (Maddison et al., Syst. Biol. 46:590,
1997); other commands are skipped. Of the sets, those count that an asterisk marks as the default.
In TYPESET and WTSET, a list of characters goes before ``all`` and ``remainder``, wherever these
stand. Sets of another matrix of the file, by its title, are skipped: ``LINK CHARACTERS = title`` of
a block, and ``(CHARACTERS = title)`` behind the name of a set, as Mesquite writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gfncore.text_numbers import NumberError, parse_float, parse_int
from phylogfn.errors import AlignmentError, shown
from phylogfn.nexus import Command, tokens

__all__ = ["BLOCKS", "Assumptions", "matrix_title", "read_assumptions"]

BLOCKS = ("assumptions", "sets")
_SETS = ("typeset", "wtset", "exset")
_ORDERED = {"ord": True, "ordered": True, "unord": False, "unordered": False}
_HEAD = re.compile(
    r"(?P<star>\*?)\s*(?P<name>'(?:[^']|'')*'|[^\s=(*]+)\s*(?P<format>\([^)]*\))?\s*="
)
_OF_MATRIX = re.compile(r"\bcharacters\s*=\s*('(?:[^']|'')*'|\"[^\"]*\"|[^\s,()]+)", re.IGNORECASE)
_RANGE = re.compile(r"(\d+|\.)(?:-(\d+|\.))?(?:\\(\d+))?$")
_MOST_WEIGHT = 1e9
_MOST_NUMBER = 10**12  # in a range of characters
_REST = ("all", "remainder")

Value = TypeVar("Value", bool, float)


@dataclass(frozen=True, eq=False)
class Assumptions:
    """What a file says about its characters, for parsimony.

    Parameters
    ----------
    weights : ndarray, shape(n_sites,), dtype=float64, optional
        What a step costs; None: 1 each.
    ordered : ndarray, shape(n_sites,), dtype=bool, optional
        Whether states are ordered (Wagner), a step apart; None: all are unordered (Fitch).
    excluded : ndarray, shape(n_sites,), dtype=bool, optional
        Characters to be left out; None: none.
    notes : tuple of str
        What a user should know.
    problem : str
        Why the blocks cannot be used, one line that starts with the file; empty when they can.
        It is for those who need them to raise: a likelihood does without.
    """

    weights: NDArray[np.float64] | None = None
    ordered: NDArray[np.bool_] | None = None
    excluded: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()
    problem: str = ""


def matrix_title(commands: list[Command]) -> str | None:
    """Return the title of a block, in lower case; None where it has none."""
    titles = [tokens(c.text) for c in commands if c.name == "title"]
    return titles[0][0].lower() if titles and titles[0] else None


def read_assumptions(
    found: Iterable[tuple[str, list[Command]]], n_sites: int, source: str, title: str | None = None
) -> Assumptions | None:
    """Return what the ASSUMPTIONS and SETS blocks of a file say.

    Parameters
    ----------
    found : iterable of (str, list of Command)
        All blocks of the file, as `phylogfn.nexus.blocks` gives them.
    n_sites : int
        The number of characters.
    source : str
        What messages call the file.
    title : str, optional
        Of the matrix that the characters are of, in lower case.

    Returns
    -------
    assumptions : Assumptions or None
        None where nothing is said.
    """
    try:
        commands = [
            command
            for block, inside in found
            if block in BLOCKS
            and not any(c.name == "link" and _of_another(c.text, title) for c in inside)
            for command in inside
        ]
        commands = [c for c in commands if not _set_of_another(c, title)]
        return _Reader(commands, n_sites, source).read()
    except AlignmentError as problem:
        return Assumptions(problem=str(problem))


def _of_another(text: str, title: str | None) -> bool:
    """Whether text names a matrix that has not this title."""
    named = _OF_MATRIX.search(text)
    return named is not None and title is not None and tokens(named[1])[0].lower() != title


def _set_of_another(command: Command, title: str | None) -> bool:
    head = _HEAD.match(command.text) if command.name in (*_SETS, "charset") else None
    return head is not None and _of_another(head["format"] or "", title)


class _Reader:
    """The commands of the blocks, and the sets of characters that they name."""

    def __init__(self, commands: list[Command], n_sites: int, source: str) -> None:
        self.commands = commands
        self.n_sites = n_sites
        self.source = source
        self.charsets: dict[str, list[int]] = {}

    def read(self) -> Assumptions | None:
        kinds = dict.fromkeys(_SETS, None)  # the default set of each kind
        notes: list[str] = []
        deftype = False
        for command in self.commands:
            if command.name == "options":
                deftype = self._deftype(command, deftype)
            if command.name not in (*_SETS, "charset"):
                continue
            head = _HEAD.match(command.text)
            if head is None:
                raise self._error(command, f"{shown(command.text)} is not of the form 'NAME = ...'")
            rest = command.text[head.end() :]
            vector = "vector" in (head["format"] or "").lower()
            if command.name == "charset":
                if not vector:
                    self._define(command, tokens(head["name"])[0].lower(), rest)
            elif head["star"]:
                kinds[command.name] = (command, rest, vector)
            else:
                notes.append(
                    f"{command.name} {head['name']} is not used: no asterisk marks it as default"
                )
        ordered = self._values(kinds["typeset"], deftype, self._type)
        weights = self._values(kinds["wtset"], 1.0, self._weight)
        excluded = np.zeros(self.n_sites, bool)
        if kinds["exset"] is not None:
            command, rest, vector = kinds["exset"]
            if vector:
                raise self._error(command, "the vector format is not supported; list characters")
            excluded[self._characters(command, rest)] = True
        if not (notes or ordered.any() or (weights != 1).any() or excluded.any()):
            return None
        return Assumptions(
            weights=weights if (weights != 1).any() else None,
            ordered=ordered if ordered.any() else None,
            excluded=excluded if excluded.any() else None,
            notes=tuple(notes),
        )

    def _error(self, command: Command, what: str) -> AlignmentError:
        return AlignmentError(f"{self.source}: line {command.line}: {command.name}: {what}")

    def _deftype(self, command: Command, before: bool) -> bool:
        found = re.search(r"\bdeftype\s*=\s*(\S+)", command.text, re.IGNORECASE)
        return before if found is None else self._type(command, found[1])

    def _type(self, command: Command, word: str) -> bool:
        if word.lower() not in _ORDERED:
            raise self._error(
                command, f"type {word!r} is not supported; 'ord' and 'unord' are, so change it"
            )
        return _ORDERED[word.lower()]

    def _weight(self, command: Command, word: str) -> float:
        try:
            return parse_float(word, 0.0, _MOST_WEIGHT)
        except NumberError:
            raise self._error(
                command,
                f"weight {shown(word)} is no decimal number from 0 to {_MOST_WEIGHT:g}; correct it",
            ) from None

    def _values(
        self,
        chosen: tuple[Command, str, bool] | None,
        default: Value,
        read: Callable[[Command, str], Value],
    ) -> NDArray[Any]:
        """Return a value a character: of a vector, or of parts ``value: characters``."""
        values = np.full(self.n_sites, default)
        if chosen is None:
            return values
        command, text, vector = chosen
        if vector:
            words = text.split()
            if len(words) != self.n_sites:
                raise self._error(
                    command, f"has {len(words)} values for {self.n_sites} characters; correct it"
                )
            return np.array([read(command, word) for word in words], values.dtype)
        given = np.zeros(self.n_sites, bool)
        rest: list[Value] = []
        for part in text.split(","):
            word, colon, members = part.partition(":")
            if not colon:
                raise self._error(command, f"{shown(part)} is not of the form 'value: characters'")
            value = read(command, word.strip())
            if members.strip().lower() in _REST:
                rest.append(value)
                continue
            listed = self._characters(command, members)
            clash = [i for i in listed if given[i] and values[i] != value]
            if clash:
                raise self._error(
                    command, f"character {clash[0] + 1} has two different values; give it one"
                )
            values[listed] = value
            given[listed] = True
        if len(set(rest)) > 1:
            raise self._error(command, "'all' or 'remainder' has two different values; give one")
        if rest:
            values[~given] = rest[0]
        return values

    def _define(self, command: Command, name: str, text: str) -> None:
        # A set that names what is not here (of another block) matters only where it is used.
        try:
            self.charsets[name] = self._characters(command, text)
        except AlignmentError:
            self.charsets.pop(name, None)

    def _characters(self, command: Command, text: str) -> list[int]:
        """Return the characters of a list such as ``1 4-7 10-.\\3 wings``, counted from 0."""
        return sorted({i for word in _words(text) for i in self._members(command, word)})

    def _members(self, command: Command, word: str) -> Iterable[int]:
        if word.lower() == "all":
            return range(self.n_sites)
        if word.lower() in self.charsets:
            return self.charsets[word.lower()]
        match = _RANGE.match(word)
        if match is None:
            raise self._error(
                command, f"{word!r} is no character; give numbers, ranges or a charset before it"
            )
        first, last = (
            self.n_sites if end == "." else self._number(command, word, end)
            for end in (match[1], match[2] or match[1])
        )
        step = self._number(command, word, match[3] or "1")
        if not 1 <= first <= last <= self.n_sites or step == 0:
            raise self._error(
                command, f"{word!r} is no range of the {self.n_sites} characters; correct it"
            )
        return range(first - 1, last, step)

    def _number(self, command: Command, word: str, text: str) -> int:
        try:
            return parse_int(text, 0, _MOST_NUMBER)
        except NumberError:
            raise self._error(
                command, f"{shown(word)} is no range of the {self.n_sites} characters; correct it"
            ) from None


def _words(text: str) -> Iterator[str]:
    yield from tokens(re.sub(r"\s*([-\\])\s*", r"\1", text))
