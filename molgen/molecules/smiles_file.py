"""Molecules read from text files; unreadable lines are reported and skipped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from rdkit import Chem
from rdkit.rdBase import BlockLogs

from gfncore.errors import UserError
from gfncore.program.messages import say
from molgen.molecules.reading import peculiarities
from molgen.molecules.smiles import SmilesError, mol_from_smiles
from molgen.molecules.table import (
    BrokenLine,
    Layout,
    find_layout,
    header_columns,
    plain_record,
)
from molgen.molecules.text_file import read_text, source_name

__all__ = ["MoleculeLine", "SmilesFile", "read_entries", "read_smiles"]

_DECLARED = re.compile(r'"?sep=(.)"?')
_SD_ENDS = re.compile(r"^(?:\$\$\$\$|M  END)[ \t\r]*$", re.MULTILINE)
_LINE_ENDS = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class MoleculeLine:
    """A molecule of a file.

    Parameters
    ----------
    line : int
        Line number, from 1.
    smiles : str
        Its canonical SMILES.
    name : str
        Text after the SMILES, or empty.
    remark : str
        Unusual features (salt, dummy atom, radical, ...), or empty.
    """

    line: int
    smiles: str
    name: str = ""
    remark: str = ""


@dataclass(frozen=True)
class SmilesFile:
    """Content of a file of molecules.

    Parameters
    ----------
    source : str
        Name of the file for messages.
    molecules : tuple of MoleculeLine
        Readable molecules in the order of the file.
    problems : tuple of str
        One message for each unreadable line: file, line, text found and reason.
    """

    source: str
    molecules: tuple[MoleculeLine, ...]
    problems: tuple[str, ...]

    @property
    def has_names(self) -> bool:
        """Whether any molecule has a name."""
        return any(molecule.name for molecule in self.molecules)


def _to_stderr(message: str) -> None:
    say(f"molgen: note: {message}")


def read_smiles(path: Path | str, note: Callable[[str], None] = _to_stderr) -> SmilesFile:
    """Read a file of molecules and return its content.

    `read_entries` describes the format.

    Parameters
    ----------
    path : Path or str
        ``-`` for standard input.
    note : callable
        Called with one-line messages about the reading; by default they are printed on standard
        error.

    Raises
    ------
    UserError
        The file cannot be read, or no line of it is a molecule.
    """
    source = source_name(path)
    molecules: list[MoleculeLine] = []
    broken: list[tuple[int, str]] = []
    with BlockLogs():  # the messages of RDKit name neither file nor line
        for number, smiles, name in read_entries(path, broken, note):
            molecule, reason = _parse(smiles)
            if molecule is None:
                broken.append((number, f"'{_short(smiles)}' {reason}"))
            else:
                text = Chem.MolToSmiles(molecule)
                remark = "; ".join(peculiarities(molecule, text))
                molecules.append(MoleculeLine(number, text, name, remark))
    problems = [f"{source}, line {number}: {reason}" for number, reason in sorted(broken)]
    if not molecules:
        found = problems[0] if problems else f"{source}: is empty"
        raise UserError(
            f"{found}; no line holds a molecule: give a file with one SMILES per line, or a table "
            "whose first line calls a column 'smiles'"
        )
    return SmilesFile(source, tuple(molecules), tuple(problems))


def read_entries(
    path: Path | str,
    broken: list[tuple[int, str]] | None = None,
    note: Callable[[str], None] = _to_stderr,
) -> Iterator[tuple[int, str, str]]:
    """Yield line number, SMILES and name of all entries of a file, valid molecules or not.

    Each line is one record: a SMILES, optionally followed by white space, a comma or a semicolon
    and a name. A file whose first line names a column of SMILES (see `molgen.molecules.table`) is
    read as a table. Empty lines are skipped, and so are lines that begin with ``#``, unless they
    follow a header whose first column is not the SMILES. SD and mol files are also read (with the
    line at which the record begins, and the SMILES written by RDKit). For compressed files and
    other encodings see `molgen.molecules.text_file.read_text`.

    Parameters
    ----------
    path : Path or str
        ``-`` for standard input.
    broken : list of (int, str), optional
        Receives line number and reason of each line that is not a record. By default they are
        reported by `note`.
    note : callable
        Called with one-line messages about the reading; by default they are printed on standard
        error.

    Raises
    ------
    UserError
        The file cannot be read, or its first line is a header without a column of SMILES.
    """
    source = source_name(path)
    text = read_text(path, note)

    def tell(number: int, reason: str) -> None:
        if broken is None:
            note(f"{source}, line {number}: {reason}; skipped")
        else:
            broken.append((number, reason))

    if _SD_ENDS.search(text) and re.search(r"V[23]000[ \t\r]*$", text, re.MULTILINE):
        yield from _sd_entries(text, tell)
    else:
        yield from _entries(_LINE_ENDS.split(text), source, tell, note)


def _entries(
    lines: list[str],
    source: str,
    tell: Callable[[int, str], None],
    note: Callable[[str], None],
) -> Iterator[tuple[int, str, str]]:
    start, layout = _header(lines, source, note)
    # where identifiers come first, one of them may begin with #
    comments = layout is None or layout.smiles == 0
    for number, line in enumerate(lines[start:], start + 1):
        if not line.strip() or (comments and line.lstrip().startswith("#")):
            continue
        try:
            smiles, name = plain_record(line) if layout is None else layout.record(line)
        except BrokenLine as problem:
            tell(number, str(problem))
            continue
        yield number, smiles, name


def _header(
    lines: list[str], source: str, note: Callable[[str], None]
) -> tuple[int, Layout | None]:
    """Return how many lines come before the records, and the layout that a header gives."""
    first = next((row for row, line in enumerate(lines) if line.strip()), len(lines))
    if first == len(lines):
        return first, None
    declared = _DECLARED.fullmatch(lines[first].strip())
    if declared:
        first = min(first + 1, len(lines) - 1)
    if lines[first].lstrip().startswith("#"):  # a header, or a sentence about SMILES
        layout = find_layout(lines[first].lstrip().lstrip("# "))
        if layout is not None and layout.separator and layout.of_words:
            return first + 1, layout
    while first < len(lines) and (not lines[first].strip() or lines[first].lstrip()[0] == "#"):
        first += 1
    if first == len(lines):
        return first, None
    layout = find_layout(lines[first], declared[1] if declared else "")
    if layout is not None:
        used = layout.columns[layout.smiles]
        if layout.ambiguous:
            note(f"{source}: the molecules are read from the column '{used}'")
        return first + 1, layout
    columns = header_columns(lines[first], _is_smiles)
    if columns:
        shown = ", ".join(f"'{column}'" for column in columns[:8])
        more = f" and {len(columns) - 8} more" if len(columns) > 8 else ""
        raise UserError(
            f"{source}, line {first + 1}: the first line looks like a header: columns {shown}"
            f"{more}, none is SMILES; name the SMILES column 'smiles'"
        )
    return first, None


def _is_smiles(text: str) -> bool:
    words = text.split()
    return bool(words) and _parse(words[0])[0] is not None


def _sd_entries(text: str, tell: Callable[[int, str], None]) -> Iterator[tuple[int, str, str]]:
    """Yield the records of an SD or mol file."""
    lines = _LINE_ENDS.split(text)
    ends = [row for row, line in enumerate(lines) if line.rstrip() == "$$$$"]
    begin = 0
    for end in chain(ends, [len(lines)]):
        record = lines[begin:end]
        if any(line.strip() for line in record):
            yield from _sd_record(record, begin + 1, tell)
        begin = end + 1


def _sd_record(
    record: list[str], number: int, tell: Callable[[int, str], None]
) -> Iterator[tuple[int, str, str]]:
    title = record[0].strip()
    try:
        with BlockLogs():
            molecule, reason = _read_block("\n".join(record))
    except Exception as problem:  # RDKit throws several kinds where blocks are damaged
        molecule, reason = None, f"cannot be read by RDKit ({type(problem).__name__})"
    if molecule is None:
        tell(number, f"the record '{_short(title)}' {reason}")
    else:
        yield number, Chem.MolToSmiles(molecule), title


def _read_block(block: str) -> tuple[Chem.Mol | None, str]:
    """Return the molecule of a mol block, or None and the problem."""
    molecule = Chem.MolFromMolBlock(block, sanitize=False, removeHs=False)
    if molecule is None:
        return None, "is not a valid mol block"
    problems = Chem.DetectChemistryProblems(molecule)
    if problems:
        return None, f"is not a valid molecule ({' '.join(problems[0].Message().split())})"
    molecule = Chem.MolFromMolBlock(block)
    if molecule is None or not molecule.GetNumAtoms():
        return None, "has no atom"
    return molecule, ""


def _parse(smiles: str) -> tuple[Chem.Mol | None, str]:
    """Return the molecule, or None and the problem."""
    if not smiles:
        return None, "is not a valid SMILES"
    try:
        return mol_from_smiles(smiles), ""
    except SmilesError as problem:
        return None, str(problem)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "\u2026"
