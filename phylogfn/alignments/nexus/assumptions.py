"""Collected statements of NEXUS files on characters and taxa, and their effect on characters.

`phylogfn.alignments.nexus.statements` applies them. Sets of another matrix of the file, identified
by its title, are skipped: ``LINK CHARACTERS = title`` of a block, and ``(CHARACTERS = title)``
after the name of a set, as written by Mesquite.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phylogfn.alignments.nexus.lists import split_words
from phylogfn.errors import shown
from phylogfn.text.nexus import Command, tokens

__all__ = ["BLOCKS", "SET_HEAD", "Assumptions", "Statements", "block_names"]

BLOCKS = ("assumptions", "sets", "paup", "mrbayes")
_SILENT_BLOCKS = ("taxa", "trees", "data", "characters", "notes", "labels", "mesquite", "figtree")
_SILENT_COMMANDS = ("title", "link")
_MATRIX_COMMANDS = (
    *("dimensions", "format", "matrix", "taxlabels", "charlabels", "charstatelabels"),
    *("statelabels", "eliminate", "title", "link", "options"),
)
SET_HEAD = re.compile(
    r"(?P<star>\*?)\s*(?P<name>'(?:[^']|'')*'|\"[^\"]*\"|[^\s=(*]+)\s*(?P<format>\([^)]*\))?\s*="
)
_OF_MATRIX = re.compile(r"\bcharacters\s*=\s*('(?:[^']|'')*'|\"[^\"]*\"|[^\s,()]+)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Assumptions:
    """Assumptions of a file about its characters, for parsimony.

    Parameters
    ----------
    weights : ndarray, shape (n_sites,), float64, optional
        Cost of a step; None: 1 for all.
    ordered : ndarray, shape (n_sites,), bool, optional
        Whether states are ordered (Wagner), one step apart; None: all are unordered (Fitch).
    problem : str
        Reason why the statements cannot be used, one line that starts with the file; empty if they
        can. Code that needs the statements raises it; likelihoods do not need them.
    """

    weights: NDArray[np.float64] | None = None
    ordered: NDArray[np.bool_] | None = None
    problem: str = ""

    def of_columns(self, kept: NDArray[np.bool_]) -> Assumptions | None:
        """Return the assumptions for some characters, bool (n_sites,); None if there are none."""
        weights = None if self.weights is None else self.weights[kept]
        ordered = None if self.ordered is None else self.ordered[kept]
        weights = None if weights is None or (weights == 1).all() else weights
        ordered = None if ordered is None or not ordered.any() else ordered
        if weights is None and ordered is None and not self.problem:
            return None
        return Assumptions(weights, ordered, self.problem)


@dataclass(frozen=True, eq=False)
class Statements:
    """The statements of a NEXUS file, to be applied to its matrix.

    Parameters
    ----------
    commands : tuple of (str, Command)
        Blocks and commands in the order of the file.
    labels : tuple of str
        Names of characters, possibly not of all.
    taxa : tuple of str
        The taxa in the order of TAXLABELS, by which they are numbered; empty: order of the matrix.
    title : str or None
        Title of the matrix, in lower case.
    source : str
        Name of the file for messages.
    unused : tuple of str
        Other parts of the file that are not used.
    """

    commands: tuple[tuple[str, Command], ...]
    labels: tuple[str, ...]
    taxa: tuple[str, ...]
    title: str | None
    source: str
    unused: tuple[str, ...] = ()

    @classmethod
    def from_blocks(
        cls,
        found: Sequence[tuple[str, list[Command]]],
        matrix: list[Command],
        source: str,
        unused: Sequence[str] = (),
    ) -> Statements:
        """Return the statements of a file about a matrix.

        Parameters
        ----------
        found : sequence of (str, list of Command)
            All blocks of the file, from `phylogfn.text.nexus.blocks`.
        matrix : list of Command
            The commands of the block of the matrix, one of `found`.
        source : str
            Name of the file for messages.
        unused : sequence of str
            Parts of the matrix's block that are not used.
        """
        title = _matrix_title(matrix)
        commands: list[tuple[str, Command]] = []
        further = list(unused)
        for block, inside in found:
            if inside is matrix:
                strange = [c.name for c in inside if c.name not in _MATRIX_COMMANDS]
                further += block_names(block, strange)
                options = ("options", "eliminate")
                commands = [(block, c) for c in inside if c.name in options] + commands
            elif block in BLOCKS:
                if not any(c.name == "link" and _of_another(c.text, title) for c in inside):
                    commands += [(block, c) for c in inside if not _set_of_another(c, title)]
            elif not block:
                further += block_names(block, [c.name for c in inside])
            elif not block.startswith(_SILENT_BLOCKS):
                further.append(f"the {shown(block)[1:-1]} block")
        labels = [c for block, inside in found if block == "taxa" for c in inside]
        labels = [tokens(c.text) for c in labels if c.name == "taxlabels"]
        taxa = tuple(labels[-1]) if labels else ()
        return cls(tuple(commands), _labels(matrix), taxa, title, source, tuple(further))


def _matrix_title(commands: list[Command]) -> str | None:
    """Return the title of a block in lower case, or None."""
    titles = [tokens(c.text) for c in commands if c.name == "title"]
    return titles[0][0].lower() if titles and titles[0] else None


def _of_another(text: str, title: str | None) -> bool:
    """Return whether text names a matrix with another title."""
    named = _OF_MATRIX.search(text)
    return named is not None and title is not None and tokens(named[1])[0].lower() != title


def _set_of_another(command: Command, title: str | None) -> bool:
    sets = ("typeset", "wtset", "exset", "charset", "charpartition")
    head = SET_HEAD.match(command.text) if command.name in sets else None
    return head is not None and _of_another(head["format"] or "", title)


def _labels(commands: list[Command]) -> tuple[str, ...]:
    """Return the names of characters, with empty strings for unnamed ones."""
    for command in commands:
        if command.name == "charlabels":
            return tuple(tokens(command.text))
        if command.name == "charstatelabels":
            labels: dict[int, str] = {}
            for part in re.findall(r"(?:'(?:[^']|'')*'|[^,'])+", command.text):
                words = split_words(part.partition("/")[0])
                if len(words) == 2 and re.fullmatch(r"[0-9]{1,9}", words[0][0]):
                    labels[int(words[0][0])] = words[1][0]
            most = max(labels, default=0)
            return tuple(labels.get(i, "") for i in range(1, min(most, 10**6) + 1))
    return ()


def block_names(block: str, names: list[str]) -> list[str]:
    """Return ``outgroup, hsearch (paup)`` for a note, if there are any."""
    names = [shown(name, 80)[1:-1] for name in dict.fromkeys(names) if name not in _SILENT_COMMANDS]
    lists = [name for name in names if name.startswith(("charset ", "taxset "))]
    names = [name for name in names if name not in lists]
    parts = [_shortened(part, most) for part, most in ((names, 40), (lists, 10)) if part]
    return [f"{', '.join(parts)} ({block or 'outside of blocks'})"] if parts else []


def _shortened(names: list[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
