"""An alignment as its file has it, before it is checked."""

from __future__ import annotations

from dataclasses import dataclass, field

from gfncore.program.messages import Note
from phylogfn.alignments.nexus.assumptions import Statements

__all__ = ["RawAlignment"]


@dataclass(frozen=True)
class RawAlignment:
    """An unchecked alignment as read from its file.

    Parameters
    ----------
    names, sequences : list of str
        Taxa and their characters, white space removed.
    data_type : {"dna", "rna", "protein", "standard"} or None
        The type declared in the file.
    state_sets : dict of str to str
        States represented by characters of Unicode's private area, as for ``{AC}`` of NEXUS.
    notes : tuple of str
        Notes for the user.
    symbols : str or None
        The states of standard data, if the file lists them.
    statements : Statements or None
        Statements of the file on its characters and taxa, to be applied to the matrix.
    parts : tuple of (str, tuple of int)
        The data type and the characters of each part of a mixed matrix; empty if it is not mixed.
    headers : tuple of str
        Complete headers, if names are shorter.
    """

    names: list[str]
    sequences: list[str]
    data_type: str | None = None
    state_sets: dict[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    symbols: str | None = None
    statements: Statements | None = None
    parts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    headers: tuple[str, ...] = ()
