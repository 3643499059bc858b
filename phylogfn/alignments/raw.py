"""An alignment as its file has it, before it is checked."""

from __future__ import annotations

from dataclasses import dataclass, field

from phylogfn.alignments.nexus.assumptions import Statements

__all__ = ["RawAlignment"]


@dataclass(frozen=True)
class RawAlignment:
    """An alignment as its file has it, not yet checked.

    Parameters
    ----------
    names, sequences : list of str
        Taxa and their characters, white space removed.
    data_type : {"dna", "rna", "protein", "standard"} or None
        What the file declares.
    state_sets : dict of str to str
        For characters of Unicode's private area: the states that one such character stands for,
        as in ``{AC}`` of NEXUS.
    notes : tuple of str
        What a user should know.
    symbols : str or None
        The states of standard data, where the file lists them.
    statements : Statements or None
        What the file says of its characters and taxa, to be carried out on the matrix.
    parts : tuple of (str, tuple of int)
        The data type and the characters of each part of a mixed matrix; empty: all are of one.
    headers : tuple of str
        Whole headers, where names are shorter than these.
    """

    names: list[str]
    sequences: list[str]
    data_type: str | None = None
    state_sets: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    symbols: str | None = None
    statements: Statements | None = None
    parts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    headers: tuple[str, ...] = ()
