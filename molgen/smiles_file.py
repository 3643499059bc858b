"""Reading molecules from text: what cannot be read is reported by line, the rest is used."""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rdkit import Chem
from rdkit.rdBase import BlockLogs

from gfncore.errors import UserError

__all__ = ["MoleculeLine", "SmilesFile", "read_entries", "read_smiles"]


_BETWEEN = re.compile(r"\s*,\s*|\s+")  # no SMILES has a comma


@dataclass(frozen=True)
class MoleculeLine:
    """A molecule of a file.

    Parameters
    ----------
    line : int
        Where it stands, from 1.
    smiles : str
        Its canonical SMILES.
    name : str
        What stands behind it, or empty.
    """

    line: int
    smiles: str
    name: str = ""


@dataclass(frozen=True)
class SmilesFile:
    """What a file of SMILES holds.

    Parameters
    ----------
    source : str
        The file, as messages call it.
    molecules : tuple of MoleculeLine
        What could be read, in the order of the file.
    problems : tuple of str
        A line for each that could not: file, line, what was found and why it will not do.
    """

    source: str
    molecules: tuple[MoleculeLine, ...]
    problems: tuple[str, ...]

    @property
    def has_names(self) -> bool:
        """Whether any molecule has a name."""
        return any(molecule.name for molecule in self.molecules)


def read_smiles(path: Path | str) -> SmilesFile:
    """Read a file of molecules.

    See `read_entries` for what it may look like.

    Parameters
    ----------
    path : Path or str
        ``-`` for standard input.

    Raises
    ------
    UserError
        The file cannot be read, or no line of it is a molecule.
    """
    source = _source(path)
    molecules, problems = [], []
    with BlockLogs():  # the messages of RDKit name neither file nor line
        for number, smiles, name in read_entries(path):
            molecule, reason = _parse(smiles)
            if molecule is None:
                problems.append(f"{source}, line {number}: '{_short(smiles)}' {reason}")
            else:
                molecules.append(MoleculeLine(number, Chem.MolToSmiles(molecule), name))
    if not molecules:
        found = f"{problems[0]}" if problems else f"{source}: is empty"
        raise UserError(f"{found}; no line holds a molecule, give a file of SMILES, one a line")
    return SmilesFile(source, tuple(molecules), tuple(problems))


def read_entries(path: Path | str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, SMILES and name of all that a file lists, molecules or not.

    Each line holds a SMILES and, after white space or a comma, perhaps a name. A file whose first
    line names columns (``smiles``, and perhaps ``name`` or ``id``) is read as a table with commas
    or tabs between. Empty lines and lines that begin with ``#`` are passed over; gzip is unpacked.

    Parameters
    ----------
    path : Path or str
        ``-`` for standard input.

    Raises
    ------
    UserError
        The file cannot be read.
    """
    yield from _entries(_read_text(path, _source(path)))


def _source(path: Path | str) -> str:
    return "standard input" if str(path) == "-" else str(path)


def _read_text(path: Path | str, source: str) -> str:
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{source}: is not text; give a file of SMILES, one a line") from None
    except (OSError, EOFError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise UserError(f"{source}: cannot be read ({reason})") from None


def _entries(text: str) -> Iterator[tuple[int, str, str]]:
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    header = lines[start] if start < len(lines) else ""
    separator = "\t" if "\t" in header else ","
    columns = [column.strip().strip('"').lower() for column in header.split(separator)]
    if "smiles" in columns and len(columns) > 1:
        yield from _table("\n".join(lines[start:]), start, columns, separator)
        return
    for number, line in enumerate(lines, 1):
        smiles, *name = _BETWEEN.split(line.strip(), maxsplit=1)
        headed = number == start + 1 and columns == ["smiles"]
        if smiles and not smiles.startswith("#") and not headed:
            yield number, smiles, name[0].strip() if name else ""


def _table(
    text: str, skipped: int, columns: list[str], separator: str
) -> Iterator[tuple[int, str, str]]:
    at = columns.index("smiles")
    named = next((columns.index(key) for key in ("name", "id") if key in columns), None)
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    next(rows)
    for row in rows:
        if any(row):
            smiles = row[at].strip() if at < len(row) else ""
            name = row[named].strip() if named is not None and named < len(row) else ""
            yield skipped + rows.line_num, smiles, name


def _parse(smiles: str) -> tuple[Chem.Mol | None, str]:
    """Return the molecule, or None and what is wrong with it."""
    molecule = Chem.MolFromSmiles(smiles, sanitize=False) if smiles else None
    if molecule is None:
        return None, "is no SMILES"
    problems = Chem.DetectChemistryProblems(molecule)
    if problems:
        reason = " ".join(problems[0].Message().split())
        return None, f"is no molecule ({reason[0].lower()}{reason[1:]})"
    if molecule.GetNumAtoms() == 0:
        return None, "has no atom"
    return Chem.MolFromSmiles(smiles), "cannot be read"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "\u2026"
