"""Layout of a list of molecules: the column of SMILES, and the separator.

Every line is one record. No record extends over several lines, regardless of quotation marks; a
line that does not fit the header affects only itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["BrokenLine", "Layout", "find_layout", "header_columns", "plain_record", "split_fields"]

SEPARATORS = "\t;,|"
_EXACT = ("smiles", "canonical_smiles", "isomeric_smiles", "smi")
_SMILES = re.compile(
    r"(?:[a-z0-9]+_)*(?:cx|iso|can|canon)?smiles?"
    r"(?!_(?:length|len|count|id|hash|valid|score|tokens?)(?:_|$))(?:_[a-z0-9]+)*"
)
_TWO_WORDS = re.compile(
    r"(?:canonical|isomeric|rdkit|kekule|input|standardi[sz]ed|std|raw|original|parent|openeye|cactvs"
    r"|ligand|product)_smiles|smiles_(?:string|structure|code|notation)s?"
)
_NAMES = ("name", "id", "title", "molecule_name", "compound_name", "molecule_id", "compound_id")
_QUOTED = re.compile(r'"([^"]*)"(?:\s*[,;|]\s*|\s+|$)(.*)')
_BARE = re.compile(r"([^\s,;]*)\s*[,;]?\s*(.*)")  # neither sign occurs in SMILES
_HEADER_WORD = re.compile(r"[A-Za-z_][\w .()\[\]%/#:+*-]*")
_TYPICAL = re.compile(
    r"(?:^|_)(?:id|name|title|mol|molecule|compound|structure|value|activity|smiles|inchi|inchikey"
    r"|formula|cas|chembl|zinc|label|score|target|class)(?:_|$)"
)


class BrokenLine(ValueError):
    """A line that is not a record of its table; the message gives the reason."""


@dataclass(frozen=True)
class Layout:
    """How the lines of a table are read.

    Attributes
    ----------
    columns : tuple of str
        The header, as it is written.
    separator : str
        One of tab, ``;``, ``,``, ``|``; empty for white space.
    smiles : int
        Column of the SMILES.
    names : tuple of int
        Columns of names; the first that is not empty counts.
    ambiguous : bool
        Whether several columns may be the SMILES.
    """

    columns: tuple[str, ...]
    separator: str
    smiles: int
    names: tuple[int, ...]
    ambiguous: bool = False

    @property
    def of_words(self) -> bool:
        """Whether there are several columns, each called by one word."""
        return len(self.columns) > 1 and not any(" " in column for column in self.columns)

    def record(self, line: str) -> tuple[str, str]:
        """Return SMILES and name of a line.

        Raises
        ------
        BrokenLine
            It has other fields than the header.
        """
        if len(self.columns) == 1:
            return plain_record(line)
        fields = self._fields(line)
        smiles = fields[self.smiles] if self.smiles < len(fields) else ""
        names = (fields[column] for column in self.names if column < len(fields))
        return smiles, next((name for name in names if name), "")

    def _fields(self, line: str) -> list[str]:
        n = len(self.columns)
        fields = split_fields(line, self.separator)
        while len(fields) > n and not fields[-1]:  # separators at the end of the line
            fields.pop()
        if len(fields) <= n:
            if len(fields) < n and not self.separator and self.smiles:
                raise BrokenLine(f"has {len(fields)} fields where the header has {n}")
            return fields
        if self.names == (n - 1,) and self.smiles < n - 1:  # a name with separators in it
            return split_fields(line, self.separator, n)
        if not self.separator and n == 2 and self.smiles == 1:
            return [" ".join(fields[:-1]), fields[-1]]
        cure = "put fields that contain a separator in quotation marks"
        raise BrokenLine(f"has {len(fields)} fields where the header has {n}; {cure}")


def plain_record(line: str) -> tuple[str, str]:
    """Return SMILES and name of a line without a header: the rest of the line is the name."""
    text = line.strip()
    found = _QUOTED.match(text) or _BARE.match(text)
    assert found is not None  # the bare form matches any text
    return found[1].strip(), _unquoted(found[2].strip())


def find_layout(header: str, separator: str = "") -> Layout | None:
    """Return the layout given by a header line, or None if it has no column of SMILES.

    The separator is the one of tab, semicolon, comma and bar that gives a column called SMILES
    (``smiles``, ``canonical_smiles``, ``Canonical SMILES``, ``SMILES string``, ...) and the largest
    number of columns; white space if the line has none of them.

    Parameters
    ----------
    header : str
    separator : str
        The separator, if the file declares it.
    """
    found: list[Layout] = []
    for candidate in separator or SEPARATORS:
        if candidate in header or separator:
            layout = _layout(split_fields(header, candidate), candidate)
            found += [layout] if layout else []
    if found:
        return max(found, key=lambda layout: len(layout.columns))
    if any(candidate in header for candidate in SEPARATORS):
        return None
    whole = _unquoted(header.strip())
    if whole != header.strip() or _TWO_WORDS.fullmatch(_plain(whole)):
        return _layout([whole], "")
    return _layout(header.split(), "")


def _layout(columns: Sequence[str], separator: str) -> Layout | None:
    plain = [_plain(column) for column in columns]
    exact = [plain.index(name) for name in _EXACT if name in plain]
    others = [at for at, name in enumerate(plain) if _SMILES.fullmatch(name)]
    candidates = [*exact, *others]
    if not candidates:
        return None
    smiles = candidates[0]
    taken = set(candidates)
    left = [at for at in range(len(plain)) if at not in taken and plain[at]]
    known = [plain.index(name) for name in _NAMES if name in plain]
    alike = [at for at in left if re.search(r"(?:^|_)(?:name|id)$|^cid$", plain[at])]
    names = tuple(dict.fromkeys(at for at in [*known, *alike] if at not in taken))
    texts = tuple(column.strip() for column in columns)
    return Layout(texts, separator, smiles, names, len(taken) > 1)


def _plain(column: str) -> str:
    """Return a column's name in lower case, with one underscore in place of signs between words."""
    return re.sub(r"[\s_.\-()\[\]:/]+", "_", column.strip().lower()).strip("_")


def header_columns(line: str, is_smiles: Callable[[str], bool]) -> list[str]:
    """Return the columns of a first line that looks like a header; otherwise empty.

    A header has two or more fields, all of words, none of which is a SMILES; if they are separated
    by white space, one must be a typical word of headers (name, id, structure, ...).

    Parameters
    ----------
    line : str
    is_smiles : callable
        Whether a field can be read as SMILES.
    """
    separator = max(SEPARATORS, key=line.count)
    separator = separator if separator in line else ""
    fields = split_fields(line, separator)
    if len(fields) < 2 or not all(_HEADER_WORD.fullmatch(field) for field in fields):
        return []
    if any(is_smiles(field) for field in fields):
        return []
    if not separator and not any(_TYPICAL.search(_plain(field)) for field in fields):
        return []
    return fields


def split_fields(line: str, separator: str, maximum: int = 0) -> list[str]:
    """Return the fields of a line, without surrounding blanks and quotation marks.

    Quotation marks are syntax if one begins a field and another ends it; two of them inside
    represent one. Any other quotation mark is an ordinary character.

    Parameters
    ----------
    line : str
    separator : str
        Empty for white space.
    maximum : int
        Number of fields after which the rest of the line is one field; 0 for any number.
    """
    if not separator:
        return [_unquoted(field) for field in line.strip().split(maxsplit=maximum - 1)]
    inside = r'(?:[^"\t]|"")*' if separator == "\t" else r'(?:[^"]|"")*'
    quoted = re.compile(rf' *"({inside})" *(?={re.escape(separator)}|\Z)')
    fields, at = [], 0
    while at <= len(line):
        if maximum and len(fields) == maximum - 1:
            return [*fields, line[at:].strip()]
        found = quoted.match(line, at)
        if found:
            fields.append(found[1].replace('""', '"').strip())
            end = found.end()
        else:
            end = line.find(separator, at)
            end = len(line) if end < 0 else end
            fields.append(line[at:end].strip())
        at = end + 1
    return fields


def _unquoted(field: str) -> str:
    return field[1:-1] if len(field) > 1 and field[0] == field[-1] == '"' else field
