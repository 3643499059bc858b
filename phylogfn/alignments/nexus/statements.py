r"""Statements of NEXUS files on characters and taxa: exclusions, weights, types.

Supported are the blocks ASSUMPTIONS and SETS (Maddison et al., Syst. Biol. 46:590, 1997) and the
same and further commands of PAUP and MRBAYES blocks, in the order of the file:

* CHARSET, TAXSET name lists; character lists may also name characters, ``all``, ``.`` (the last),
  ``\3`` (every third), and ``constant``, ``uninf``, ``gapped``, ``missambig`` of PAUP.
* OUTGROUP names taxa at which trees are rooted. MrBayes' command replaces the one before; PAUP's
  adds to it, unless it ends with ``/ only``.
* EXCLUDE, INCLUDE, EXSET, ELIMINATE select characters; DELETE, RESTORE select taxa. They apply to
  every command.
* CTYPE, TYPESET, OPTIONS DEFTYPE define types; WEIGHTS, WTSET weights. They only affect parsimony.
* CHARPARTITION and PARTITION divide the characters (`phylogfn.alignments.nexus.partitions`).
* Sets are applied if an asterisk marks them as the default or ASSUME names them.

In a list of types or weights, a list of characters overrides ``all`` and ``remainder`` in any
order. Sets of another matrix of the file, identified by its title, are skipped: ``LINK CHARACTERS =
title`` of a block, and ``(CHARACTERS = title)`` after the name of a set, as written by Mesquite.
Everything else is named in one note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gfncore.program.messages import Note
from phylogfn.alignments.nexus.assumptions import SET_HEAD, Assumptions, Statements, block_names
from phylogfn.alignments.nexus.lists import MemberLists, folded
from phylogfn.alignments.nexus.partitions import FilePartitions, PartitionReader
from phylogfn.alignments.nexus.values import (
    character_values,
    data_defined_set,
    read_type,
    read_weight,
)
from phylogfn.errors import AlignmentError, quoted_list, shown
from phylogfn.text.nexus import Command, tokens

__all__ = ["Selection", "carry_out"]

_SHORTENED = (  # commands that PAUP and MrBayes take in a shortened form
    *("exclude", "include", "delete", "undelete", "restore", "ctype", "weights", "assume"),
    *("exset", "wtset", "typeset", "charset", "taxset", "partition", "charpartition"),
)
_OPTION = re.compile(r"\b([a-z]+)\s*=\s*('(?:[^']|'')*'|\"[^\"]*\"|[^\s,;]+)", re.IGNORECASE)
_CHOSEN_SETS = ("typeset", "wtset", "exset")
_NAMED_LISTS = ("charset", "taxset")
_SETS = (*_NAMED_LISTS, *_CHOSEN_SETS)
_PARTITIONS = ("partition", "charpartition", "set")
_PLAIN = " (no asterisk)"
_Stored = tuple[str, str, bool]  # place, list, whether it is a vector


@dataclass(frozen=True, eq=False)
class Selection:
    """Effect of the statements of a file on its matrix.

    Parameters
    ----------
    excluded : ndarray, shape (n_sites,), bool
        Characters to leave out.
    deleted : ndarray, shape (n_taxa,), bool
        Taxa to leave out.
    assumptions : Assumptions or None
        None if all characters are unordered with weight 1.
    notes : tuple of Note
        Notes for the user.
    outgroup : tuple of int
        Rows of the taxa of the outgroup; empty if the file has none.
    partitions : FilePartitions
        The partitions of the file, if they were asked for.
    """

    excluded: NDArray[np.bool_]
    deleted: NDArray[np.bool_]
    assumptions: Assumptions | None
    notes: tuple[Note, ...]
    outgroup: tuple[int, ...] = ()
    partitions: FilePartitions = FilePartitions()


def carry_out(
    statements: Statements,
    names: Sequence[str],
    masks: NDArray[np.uint32],
    gaps: NDArray[np.bool_],
    partitioned: bool = False,
) -> Selection:
    """Apply the statements of a file to its matrix and return the resulting selection.

    Parameters
    ----------
    statements : Statements
        All statements of the file.
    names : sequence of str, length n
        The taxa.
    masks : ndarray, shape (n, n_sites), uint32
        Possible states; 0 for characters that are not in the alphabet.
    gaps : ndarray, shape (n, n_sites), bool
        Whether each cell is a gap.
    partitioned : bool, default False
        Whether the caller uses partitions. If not, they are named among the unused statements.

    Raises
    ------
    AlignmentError
        A character or taxon to leave out is unknown.
    """
    return _Interpreter(statements, names, masks, gaps, partitioned).run()


def _full_name(block: str, name: str) -> str:
    """Return the full name of a command that PAUP and MrBayes take in a shortened form."""
    if block in ("paup", "mrbayes") and len(name) >= 3:
        return next((full for full in _SHORTENED if full.startswith(name)), name)
    return name


@dataclass(eq=False)
class _Interpreter:
    """The state that the statements change, one after the other."""

    statements: Statements
    names: Sequence[str]
    masks: NDArray[np.uint32]
    gaps: NDArray[np.bool_]
    partitioned: bool
    problem: str = ""
    default_type: bool = False
    stored: dict[tuple[str, str], _Stored] = field(default_factory=dict)
    unused: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n_taxa, self.n_sites = self.masks.shape
        self.excluded = np.zeros(self.n_sites, bool)
        self.eliminated = np.zeros(self.n_sites, bool)
        self.deleted = np.zeros(n_taxa, bool)
        self.outgroup: list[int] = []
        self.weights = np.ones(self.n_sites)
        self.types = np.full(self.n_sites, -1, np.int8)  # -1: the default type
        labels = self.statements.labels[: self.n_sites]
        self.characters = MemberLists("character", self.n_sites, labels, special=self._special)
        self.partitions = PartitionReader(self.characters)
        # Taxa are numbered in the order of TAXLABELS, where it has the same ones.
        rows = {folded(name): row for row, name in enumerate(self.names)}
        taxa = self.statements.taxa
        if len(rows) == n_taxa and sorted(map(folded, taxa)) == sorted(rows):
            self.rows = [rows[folded(name)] for name in taxa]
        else:
            taxa, self.rows = tuple(self.names), list(range(n_taxa))
        self.taxa = MemberLists("taxon", n_taxa, taxa, names_first=True)

    def run(self) -> Selection:
        commands = [
            (block, _full_name(block, command.name), command)
            for block, command in self.statements.commands
        ]
        definitions = [item for item in commands if item[1] in _NAMED_LISTS]
        for _, name, command in definitions:  # a list may be used before the block that defines it
            self._define(name, command, self._place(command, name))
        for block, name, command in commands:
            handler = _HANDLERS.get(name)
            if name == "outgroup" and block == "mrbayes":
                self.outgroup = []
            if handler is None or not handler(self, name, command, self._place(command, name)):
                self.unused.setdefault(block, []).append(self._unused_name(name, command))
        excluded = self.excluded | self.eliminated
        ordered = np.where(self.types < 0, self.default_type, self.types == 1)
        assumptions = Assumptions(
            weights=self.weights if (self.weights != 1).any() else None,
            ordered=ordered if ordered.any() else None,
            problem=self.problem,
        )
        for block, name, command in definitions:
            head = SET_HEAD.match(command.text)
            lists = self.characters if name == "charset" else self.taxa
            if head is not None and folded(tokens(head["name"])[0]) not in lists.used:
                self.unused.setdefault(block, []).append(self._unused_name(name, command))
        said = self.problem or assumptions.weights is not None or assumptions.ordered is not None
        return Selection(
            excluded,
            self.deleted,
            assumptions if said else None,
            self._notes(),
            tuple(self.outgroup),
            self.partitions.found,
        )

    def _place(self, command: Command, name: str) -> str:
        return f"{self.statements.source}: line {command.line}: {name}"

    def _unused_name(self, name: str, command: Command) -> str:
        """Return the name of a command for notes, with the set that it defines, if any."""
        head = SET_HEAD.match(command.text) if name in _SETS else None
        if head is not None:
            plain = name in _CHOSEN_SETS and not head["star"]
            return f"{name} {tokens(head['name'])[0]}{_PLAIN if plain else ''}"
        gaps = re.search(r"\bgapmode\s*=\s*(new\w*)", command.text, re.IGNORECASE)
        return f"{name} gapmode={gaps[1]}, for which there is --gaps state" if gaps else name

    def _notes(self) -> tuple[Note, ...]:
        parts = [part for block, names in self.unused.items() for part in block_names(block, names)]
        notes: list[Note] = []
        if self.deleted.any():
            gone = [name for name, out in zip(self.names, self.deleted, strict=True) if out]
            notes.append(
                Note(
                    "deleted-taxa",
                    f"excluded because the file deletes them: {len(gone)} taxa "
                    f"({quoted_list(gone)})",
                )
            )
        count = int((self.excluded | self.eliminated).sum())
        if count:
            notes.append(
                Note(
                    "excluded-characters",
                    f"excluded by the file: {count} of {self.n_sites} characters",
                )
            )
        parts += self.statements.unused
        if parts:
            notes.append(
                Note(
                    "unused-statements",
                    f"statements of the file that are not used: {'; '.join(parts)}",
                )
            )
        return tuple(notes)

    # Each handler carries out a command and returns whether it was used.

    def _define(self, name: str, command: Command, place: str) -> bool:
        try:
            head, text, vector = self._head(command, place)
        except AlignmentError:
            return False
        lists = self.characters if name == "charset" else self.taxa
        lists.define(tokens(head["name"])[0], place, text, vector)
        return True  # `run` reports unused ones

    def _set(self, name: str, command: Command, place: str) -> bool:
        try:
            head, text, vector = self._head(command, place)
        except AlignmentError as problem:
            if name == "exset":
                raise
            self.problem = self.problem or str(problem)
            return True
        self.stored[name, folded(tokens(head["name"])[0])] = (place, text, vector)
        if head["star"]:
            self._use(name, (place, text, vector))
        return bool(head["star"])

    def _use(self, kind: str, stored: _Stored) -> None:
        place, text, vector = stored
        if kind == "exset":
            members = self.characters.members(place, text, vector)
            self.excluded[:] = False
            self.excluded[members] = True
        elif kind == "typeset":
            self.types[:] = -1
            self._assign(self.types, place, text, vector, read_type)
        else:
            self.weights[:] = 1.0
            self._assign(self.weights, place, text, vector, read_weight)

    def _assume(self, name: str, command: Command, place: str) -> bool:
        used = False
        for kind, value in _OPTION.findall(command.text):
            kind = kind.lower()
            if kind == "deftype":
                used = self._options(name, command, place)
                continue
            if kind not in _CHOSEN_SETS:
                continue
            stored = self.stored.get((kind, folded(tokens(value)[0])))
            if stored is None:
                problem = f"{place}: there is no {kind} {value!r} before it; correct the name"
                if kind == "exset":
                    raise AlignmentError(problem)
                self.problem = self.problem or problem
                continue
            self._use(kind, stored)
            used = True
            told = folded(f"{kind} {tokens(value)[0]}{_PLAIN}")
            for names in self.unused.values():
                names[:] = [name for name in names if folded(name) != told]
        return used

    def _options(self, name: str, command: Command, place: str) -> bool:
        chosen = re.search(r"\bdeftype\s*=\s*([^\s,;]+)", command.text, re.IGNORECASE)
        if chosen is not None:
            try:
                self.default_type = read_type(place, chosen[1])
            except AlignmentError as problem:
                self.problem = self.problem or str(problem)
        rest = re.search(r"\b(gapmode\s*=\s*new|mstaxa)", command.text, re.IGNORECASE)
        return rest is None

    def _overlay(self, name: str, command: Command, place: str) -> bool:
        """Apply CTYPE or WEIGHTS: set values of some characters and keep the others."""
        text = command.text.partition("/")[0]
        if name == "ctype":
            self._assign(self.types, place, text, False, read_type)
        else:
            self._assign(self.weights, place, text, False, read_weight)
        return True

    def _leave_out(self, name: str, command: Command, place: str) -> bool:
        """Apply EXCLUDE, INCLUDE, DELETE, RESTORE or UNDELETE."""
        text, _, options = command.text.partition("/")
        lists, out = (
            (self.characters, self.excluded)
            if name in ("exclude", "include")
            else (self.taxa, self.deleted)
        )
        leaving = name in ("exclude", "delete")
        members = lists.members(place, text)
        if lists is self.taxa:
            members = [self.rows[taxon] for taxon in members]
        if re.search(r"\bonly\b", options, re.IGNORECASE):
            out[:] = not leaving
        out[members] = leaving
        return True

    def _set_outgroup(self, name: str, command: Command, place: str) -> bool:
        """Add taxa to the outgroup; a list with unknown taxa is not used, as roots are optional."""
        text, _, options = command.text.partition("/")
        try:
            rows = [self.rows[taxon] for taxon in self.taxa.members(place, text)]
        except AlignmentError:
            return False
        if re.search(r"\bonly\b", options, re.IGNORECASE):
            self.outgroup = []
        self.outgroup += [row for row in rows if row not in self.outgroup]
        return bool(rows)

    def _partition(self, name: str, command: Command, place: str) -> bool:
        return self.partitioned and self.partitions.read(name, command, place)

    def _eliminate(self, name: str, command: Command, place: str) -> bool:
        self.eliminated[self.characters.members(place, command.text)] = True
        return True

    def _head(self, command: Command, place: str) -> tuple[re.Match[str], str, bool]:
        """Return name and format of a set, its list, and whether the list is a vector."""
        head = SET_HEAD.match(command.text)
        if head is None:
            raise AlignmentError(f"{place}: {shown(command.text)} is not of the form 'NAME = ...'")
        vector = "vector" in (head["format"] or "").lower()
        return head, command.text[head.end() :], vector

    def _assign(
        self,
        values: NDArray[Any],
        place: str,
        text: str,
        vector: bool,
        read: Callable[[str, str], Any],
    ) -> None:
        """Set values of characters by a vector, or by parts ``value: characters``."""
        try:
            given, new = character_values(place, text, vector, read, self.characters)
        except AlignmentError as problem:
            self.problem = self.problem or str(problem)
        else:
            values[given] = new[given]

    def _special(self, word: str) -> list[int] | None:
        return data_defined_set(word, self.masks[~self.deleted], self.gaps[~self.deleted])


_HANDLERS: Mapping[str, Callable[[_Interpreter, str, Command, str], bool]] = {
    **dict.fromkeys(_NAMED_LISTS, _Interpreter._define),
    **dict.fromkeys(_CHOSEN_SETS, _Interpreter._set),
    **dict.fromkeys(
        ("exclude", "include", "delete", "undelete", "restore"), _Interpreter._leave_out
    ),
    **dict.fromkeys(("ctype", "weights"), _Interpreter._overlay),
    "assume": _Interpreter._assume,
    "options": _Interpreter._options,
    "outgroup": _Interpreter._set_outgroup,
    **dict.fromkeys(_PARTITIONS, _Interpreter._partition),
    "eliminate": _Interpreter._eliminate,
}
