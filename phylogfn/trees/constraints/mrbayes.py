"""Constraints in the MRBAYES block of a NEXUS file.

``constraint NAME [hard] = TAXA;`` defines a clade, with taxa by name, number or range, and ``prset
topologypr = constraints(NAME, ...)`` says which are in force. Without the latter, all are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from phylogfn.errors import TreeFileError, shown
from phylogfn.text.nexus import Command, tokens

__all__ = ["Clade", "mrbayes_clades"]

_HEAD = re.compile(
    r"\s*(?P<name>'(?:[^']|'')*'|[^\s=]+)\s*(?P<kind>[A-Za-z]+)?\s*(?P<weight>-?[0-9.]+)?\s*=\s*"
)
_CHOSEN = re.compile(r"\btopologypr\s*=\s*constraints\s*\(([^)]*)\)", re.IGNORECASE)


@dataclass(frozen=True)
class Clade:
    """A clade as in its file.

    Attributes
    ----------
    members : tuple of str
        Names of taxa, or numbers and ranges.
    place : str
        Where it is in the file, for messages.
    by_number : bool
        Whether members may be numbers and ranges.
    """

    members: tuple[str, ...]
    place: str
    by_number: bool = False


def mrbayes_clades(
    found: Sequence[tuple[str, list[Command]]], source: str
) -> tuple[list[Clade], list[str]]:
    """Return the clades that the MRBAYES blocks of a file constrain, and notes for the user.

    Parameters
    ----------
    found : sequence of (str, list of Command)
        All blocks of the file, from `phylogfn.text.nexus.blocks`.
    source : str
        Name of the file for messages.

    Raises
    ------
    TreeFileError
        A constraint in force is negative, partial or not of the form above, or is not defined.
    """
    defined: dict[str, Command] = {}
    chosen: list[str] | None = None
    for block, commands in found:
        for command in commands if block == "mrbayes" else ():
            if command.name == "constraint":
                head = _HEAD.match(command.text)
                if head is None:
                    raise TreeFileError(
                        f"{source}: line {command.line}: constraint {shown(command.text)} is not "
                        "of the form 'NAME hard = TAXA'"
                    )
                defined[tokens(head["name"])[0].lower()] = command
            elif command.name == "prset" and (choice := _CHOSEN.search(command.text)):
                chosen = [name.lower() for name in tokens(choice[1]) if name != ","]
    if not defined:
        return [], []
    unknown = [name for name in chosen or () if name not in defined]
    if unknown:
        raise TreeFileError(
            f"{source}: topologypr names {shown(unknown[0])}, which no constraint defines"
        )
    notes = []
    if chosen is None:
        notes.append(
            f"the file does not set topologypr: all of its {len(defined)} constraints are in force"
        )
    return [_clade(defined[name], source) for name in chosen or defined], notes


def _clade(command: Command, source: str) -> Clade:
    head = _HEAD.match(command.text)
    assert head is not None
    kind = (head["kind"] or "hard").lower()
    place = f"line {command.line}"
    if kind != "hard":
        raise TreeFileError(
            f"{source}: {place}: constraints of kind {shown(kind)} are not supported; only hard "
            "ones are"
        )
    words = re.sub(r"\s*-\s*(?=[0-9.])", "-", command.text[head.end() :])
    return Clade(tuple(tokens(words)), place, by_number=True)
