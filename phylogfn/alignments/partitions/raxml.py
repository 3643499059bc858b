r"""Partition files in the style of RAxML: a line such as ``DNA, gene1 = 1-500, 900-1200\3``.

The first word is a data type (DNA, AA, PROT, BIN, MULTI, MORPH, ...) or, as in RAxML-NG and
IQ-TREE, a substitution model; it may be left out. Text after ``#`` is a comment.
"""

from __future__ import annotations

import re

from gfncore.errors import UserError
from gfncore.text.numbers import NumberError, parse_int
from phylogfn.alignments.partitions.subsets import Partition, Subset
from phylogfn.errors import AlignmentError, shown

__all__ = ["kind_of", "parse_raxml", "split_outside_braces"]

_TYPES = {
    **dict.fromkeys(("dna", "rna", "nuc", "nt", "nucleotide"), "dna"),
    **dict.fromkeys(("aa", "prot", "protein"), "protein"),
    **dict.fromkeys(("bin", "multi", "morph", "morphology", "standard", "std"), "standard"),
}
_RANGE = re.compile(r"([0-9]+)(?:\s*-\s*([0-9]+|\.))?(?:\s*[\\/]\s*([0-9]+))?$")
_FORM = r"write lines such as 'DNA, gene1 = 1-500' or 'GTR+G4, gene2 = 501-900\3'"


def parse_raxml(text: str, source: str, n_sites: int) -> Partition:
    """Read a partition file in the style of RAxML.

    Parameters
    ----------
    text : str
    source : str
        Name of the file for messages.
    n_sites : int
        Number of columns of the alignment.

    Raises
    ------
    AlignmentError
        A line does not have the form, a column is out of range, or a model is unknown.
    """
    subsets = []
    for number, line in enumerate(text.split("\n"), 1):
        content = line.partition("#")[0].strip().rstrip(";")
        if not content:
            continue
        place = f"{source}: line {number}"
        *left, ranges = split_outside_braces(content, "=")
        if not left or not ranges.strip():
            raise AlignmentError(f"{place}: cannot read {shown(content)}; {_FORM}")
        *kind, name = split_outside_braces("=".join(left), ",")
        if len(kind) > 1 or not name.strip():
            raise AlignmentError(f"{place}: cannot read {shown(content)}; {_FORM}")
        data_type, model = kind_of(kind[0].strip(), place) if kind else (None, "")
        columns: list[int] = []
        for part in ranges.strip(" \t,").split(","):
            columns += _columns(part.strip(), n_sites, place)
        repeated = sorted(column for column in set(columns) if columns.count(column) > 1)
        if repeated:
            raise AlignmentError(
                f"{place}: column {repeated[0] + 1} comes twice in part {name.strip()!r}; correct "
                "the ranges"
            )
        subsets.append(Subset(name.strip(), tuple(sorted(columns)), data_type, model))
    if not subsets:
        raise AlignmentError(f"{source}: has no partition; {_FORM}")
    return Partition(source, source, tuple(subsets))


def kind_of(text: str, place: str) -> tuple[str | None, str]:
    """Return data type and model that a word stands for: DNA, MORPH, GTR+G4, LGF, ...

    Raises
    ------
    AlignmentError
        It is neither a type nor a model.
    """
    from phylogfn.models import PROTEIN_MODELS, parse_model  # loads SciPy

    if text.lower() in _TYPES:
        return _TYPES[text.lower()], ""
    if text.lower() == "auto":
        return None, ""
    proteins = {name.upper() for name in PROTEIN_MODELS}
    if text.upper().endswith("F") and text[:-1].upper() in proteins:
        text = text[:-1] + "+F"  # RAxML's names of matrices with observed frequencies
    problems = []
    for data_type in ("dna", "protein", "standard"):
        try:
            parse_model(text, data_type)
        except UserError as problem:
            problems.append(str(problem))
        else:
            return data_type, text
    # the longest message comes from the reader that got farthest
    raise AlignmentError(f"{place}: {max(problems, key=len)}")


def split_outside_braces(text: str, separator: str) -> list[str]:
    """Split text at a separator, except between braces or quotes."""
    pieces, depth, quote, start = [], 0, "", 0
    for i, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "{(":
            depth += 1
        elif character in "})":
            depth = max(0, depth - 1)
        elif character == separator and depth == 0:
            pieces.append(text[start:i])
            start = i + 1
    return [*pieces, text[start:]]


def _columns(text: str, n_sites: int, place: str) -> range:
    """Return the columns, from 0, of a range such as ``1-500`` or ``2-500\\3``."""
    match = _RANGE.match(text)
    if match is None:
        raise AlignmentError(f"{place}: {shown(text)} is not a range of columns; {_FORM}")
    try:
        first = parse_int(match[1], 1, n_sites)
        end = match[2] or match[1]
        last = n_sites if end == "." else parse_int(end, 1, n_sites)
        step = parse_int(match[3] or "1", 1)
    except NumberError:
        first, last, step = 1, 0, 1
    if first > last:
        raise AlignmentError(
            f"{place}: {shown(text)} is not within the {n_sites} columns of the alignment; correct "
            "the range"
        )
    return range(first - 1, last, step)
