"""Sets of trees for comparison or consensus: their splits, branch lengths and weights.

Trees may be of any degree, rooted or not. Supported formats: Newick, NEXUS (including MrBayes'
``.t`` and ``.trprobs``), and tables of topologies such as ``topologies.tsv``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gfncore.errors import UserError
from gfncore.program.messages import Note
from gfncore.text.numbers import parse_float
from phylogfn.errors import TreeFileError, shown
from phylogfn.text.text_files import read_text, source_name
from phylogfn.trees.files import parse_tree_text, reading_notes, taxon_index
from phylogfn.trees.newick import ParsedTree, parse_newick
from phylogfn.trees.splits import SplitTable, tabulate_splits

__all__ = ["TreeSample", "read_tree_sample"]

_LARGEST_MEMORY = 2**29  # of the splits of a file, bytes
# How MrBayes and BEAST call the trees of a chain: by its generations.
_GENERATION = re.compile(r"(?:gen|rep|state)[._]([0-9]{1,18})", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class TreeSample:
    """A weighted set of trees on the same taxa.

    Parameters
    ----------
    names : tuple of str, length n
        The taxa; bit i of a split is taxon i.
    branches : tuple of dict
        For each tree, the length (or None) of the branch of each split, including leaves.
    weights : tuple of float
        The weight of each tree; not normalised.
    n_read : int
        Number of trees in the file, including burn-in.
    source : str
        Name of the file for messages.
    notes : tuple of str
        Notes for the user about reading and using the file.
    """

    names: tuple[str, ...]
    branches: tuple[dict[int, float | None], ...]
    weights: tuple[float, ...]
    n_read: int
    source: str
    notes: tuple[str, ...] = ()

    def split_table(self) -> SplitTable:
        """Return supports and lengths of the splits."""
        return tabulate_splits(self.names, zip(self.weights, self.branches, strict=True))

    def topology_weights(self) -> dict[frozenset[int], float]:
        """Return the share of each topology, as the set of its non-trivial splits."""
        n, total = len(self.names), math.fsum(self.weights)
        shares: dict[frozenset[int], float] = {}
        for branches, weight in zip(self.branches, self.weights, strict=True):
            key = frozenset(s for s in branches if 1 < s.bit_count() < n - 1)
            shares[key] = shares.get(key, 0.0) + weight / total
        return shares


def read_tree_sample(
    path: Path | str, names: Sequence[str] | None = None, *, burnin: float = 0.0
) -> TreeSample:
    """Read and return a set of trees.

    The format is determined only by the content: a table has a first line with a column ``newick``.

    Parameters
    ----------
    path : Path or str
        The file; ``-`` is standard input.
    names : sequence of str, optional
        The taxa that every tree must have, in the desired order. Default: those of the first tree,
        in alphabetical order.
    burnin : float
        Share of the trees to omit at the start. Weighted trees, which have no order of sampling,
        are all used.

    Raises
    ------
    UserError
        The file cannot be read, its taxa differ, all weights are 0, or its splits need too much
        memory.
    """
    if not 0.0 <= burnin < 1.0:
        raise UserError(
            f"--burnin {burnin:g} is not a fraction of the trees; give a value from 0 to below 1"
        )
    source = source_name(path)
    told: list[Note] = []
    text = read_text(path, TreeFileError, told)
    table = _is_table(text)
    parsed = _read_table(text, source) if table else parse_tree_text(text, source)
    if names is None:
        names = sorted(taxon_index(parsed[0], None, source)[0])
    order, index = taxon_index(parsed[0], names, source)
    if len(order) < 3:
        raise TreeFileError(
            f"{source}: trees of {len(order)} taxa have no topology; at least 3 are needed"
        )
    ordered = not table and all(tree.weight == 1.0 for tree in parsed)
    kept = parsed[int(burnin * len(parsed)) if ordered else 0 :]
    if not any(tree.weight > 0 for tree in kept):
        raise UserError(f"{source}: all trees have weight zero")
    branches = _all_branches(kept, index, source)
    return TreeSample(
        names=order,
        branches=branches,
        weights=tuple(tree.weight for tree in kept),
        n_read=len(parsed),
        source=source,
        notes=(
            *told,
            *reading_notes(parsed),
            *_burnin_notes(parsed, len(kept), burnin, ordered),
            *_length_notes(branches),
        ),
    )


def _burnin_notes(
    parsed: Sequence[ParsedTree], n_kept: int, burnin: float, ordered: bool
) -> Iterator[str]:
    if n_kept < len(parsed):
        yield f"the first {len(parsed) - n_kept} of {len(parsed)} trees are left out as burn-in"
    elif burnin > 0 and not ordered:
        yield "the trees have weights and no order of sampling: --burnin is not applied to them"
    elif burnin == 0 and ordered:
        found = [_GENERATION.fullmatch(tree.name) for tree in parsed[:2]]
        generations = [int(match[1]) for match in found if match]
        if len(generations) == 2 and generations[1] > generations[0] + 1:
            yield (
                f"the trees seem to be samples of a Markov chain ('{parsed[0].name}', "
                f"'{parsed[1].name}') and all are used; --burnin 0.25 leaves out the first quarter"
            )


def _length_notes(branches: Sequence[Mapping[int, float | None]]) -> Iterator[str]:
    lacking = [None in tree.values() for tree in branches]
    if any(lacking) and any(x is not None for tree in branches for x in tree.values()):
        yield (
            f"{sum(lacking)} of {len(lacking)} trees have branches without a length; mean lengths "
            "are those of the others"
        )


def _all_branches(
    trees: Sequence[ParsedTree], index: Mapping[str, int], source: str
) -> tuple[dict[int, float | None], ...]:
    """Return the length of each split of each tree; equal splits are stored once.

    A split needs n/8 bytes, so a tree needs up to about n^2/5; trees above the limit are refused.
    """
    n = len(index)
    limit = f"the limit is {_LARGEST_MEMORY / 2**30:g} GiB"
    if 3 * n * n // 16 > _LARGEST_MEMORY:
        raise UserError(
            f"{source}: the splits of a tree of {n} taxa take up to {3 * n * n / 2**34:.1f} GiB "
            f"and {limit}; give trees of fewer taxa"
        )
    splits: dict[int, int] = {}
    found: list[dict[int, float | None]] = []
    for tree in trees:
        found.append(_branches(tree, index, source, splits))
        used = len(splits) * (n // 8 + 30)
        if used > _LARGEST_MEMORY:
            raise UserError(
                f"{source}: the splits of the first {len(found)} of {len(trees)} trees take "
                f"{used / 2**30:.1f} GiB and {limit}; give fewer trees"
            )
    return tuple(found)


def _branches(
    tree: ParsedTree, index: Mapping[str, int], source: str, splits: dict[int, int]
) -> dict[int, float | None]:
    """Return the length of each split; the two halves of a root branch are added.

    `splits` has those of the trees before, to which new ones are added.
    """
    n = len(index)
    everything = (1 << n) - 1
    masks = [0] * len(tree.parent)
    for node in range(len(masks) - 1, 0, -1):
        if tree.is_leaf[node]:
            masks[node] = _leaf(tree, node, index, n, source)
        if masks[tree.parent[node]] & masks[node]:
            raise TreeFileError(f"{source}: {tree.place}: a taxon occurs twice")
        masks[tree.parent[node]] |= masks[node]
    if masks[0] != everything:
        lacking = [name for name, i in index.items() if not masks[0] >> i & 1]
        raise TreeFileError(
            f"{source}: {tree.place}: {len(lacking)} of {n} taxa are missing, such as "
            f"'{lacking[0]}'; all trees must have the same taxa"
        )
    found: dict[int, float | None] = {}
    for mask, length in zip(masks[1:], tree.lengths[1:], strict=True):
        split = everything ^ mask if mask & 1 else mask
        if split == 0:
            continue
        split = splits.setdefault(split, split)
        if split in found:
            before = found[split]
            length = None if length is None or before is None else length + before
        found[split] = length
    return found


def _leaf(tree: ParsedTree, node: int, index: Mapping[str, int], n: int, source: str) -> int:
    label = tree.labels[node] or ""
    number = index.get(label)
    if number is None:
        raise TreeFileError(
            f"{source}: {tree.place}: taxon {shown(label)} is not among the {n} taxa expected; "
            "all trees must have the same taxa"
        )
    return 1 << number


def _is_table(text: str) -> bool:
    """Return whether the first line is the head of a table: of columns, not the start of trees."""
    head = text.partition("\n")[0]
    return "newick" in head.split("\t") or ("\t" in head and head.lstrip()[:1] not in "([#")


def _read_table(text: str, source: str) -> list[ParsedTree]:
    """Return the trees of a table with a column ``newick`` and perhaps one ``probability``."""
    head, *rows = text.split("\n")
    columns = head.split("\t")
    if "newick" not in columns:
        raise TreeFileError(f"{source}: line 1: the table has no column 'newick'")
    for name in ("newick", "probability"):
        if columns.count(name) > 1:
            raise TreeFileError(f"{source}: line 1: the column '{name}' occurs twice")
    weighted = "probability" in columns
    trees = []
    for line, row in enumerate(rows, 2):
        if not row.strip():
            continue
        fields = row.split("\t")
        if len(fields) != len(columns):
            raise TreeFileError(
                f"{source}: line {line}: has {len(fields)} columns, but line 1 has {len(columns)}; "
                "they are separated by tabs"
            )
        record = dict(zip(columns, fields, strict=True))
        found = list(parse_newick(record["newick"], source, line))
        if len(found) != 1:
            problem = "is empty" if not found else "holds more than one tree"
            raise TreeFileError(f"{source}: line {line}: the column 'newick' {problem}")
        weight = found[0].weight
        if weighted:
            place = f"{source}: line {line}: probability"
            weight = parse_float(
                record["probability"].strip(), 0.0, 1e100, place=place, error=TreeFileError
            )
        trees.append(replace(found[0], weight=weight, place=f"line {line}"))
    if not trees:
        raise TreeFileError(f"{source}: has no trees below its head line")
    return trees
