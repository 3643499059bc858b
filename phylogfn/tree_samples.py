"""Sets of trees to compare or to sum up: their splits, branch lengths and weights.

Trees may be of any degree, rooted or not. What is read: Newick, NEXUS (MrBayes' ``.t`` and
``.trprobs`` among them), and tables of topologies as ``topologies.tsv`` is one.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gfncore.errors import UserError
from gfncore.text_numbers import NumberError, parse_float
from phylogfn.errors import TreeFileError
from phylogfn.newick import ParsedTree, parse_newick
from phylogfn.posterior import SplitTable, tabulate_splits
from phylogfn.text_files import read_text, source_name
from phylogfn.tree_files import parse_tree_file, taxon_index

__all__ = ["CHAIN_SUFFIXES", "TreeSample", "read_tree_sample"]

CHAIN_SUFFIXES = (".t", ".trees")
"""Files of a Markov chain, whose first part is left out as burn-in."""


@dataclass(frozen=True, eq=False)
class TreeSample:
    """A weighted set of trees on the same taxa.

    Parameters
    ----------
    names : tuple of str, length n
        The taxa; bit i of a split is taxon i.
    branches : tuple of dict
        For each tree, the length (or None) of each split's branch, leaves included.
    weights : tuple of float
        The weight of each tree; not normalised.
    n_read : int
        Trees in the file, those left out as burn-in included.
    source : str
        What messages call the file.
    """

    names: tuple[str, ...]
    branches: tuple[dict[int, float | None], ...]
    weights: tuple[float, ...]
    n_read: int
    source: str

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
    path: Path | str, names: Sequence[str] | None = None, *, burnin: float = 0.25
) -> TreeSample:
    """Read a set of trees.

    Parameters
    ----------
    path : Path or str
        The file; ``-`` is standard input.
    names : sequence of str, optional
        The taxa that every tree must have, in the order wanted. Default: those of the first tree,
        in alphabetical order.
    burnin : float
        Share of the trees to leave out at the start, of files of a Markov chain alone
        (``.t``, ``.trees``, gzipped or not).

    Raises
    ------
    UserError
        The file cannot be read, its taxa differ, or all weights are 0.
    """
    if not 0.0 <= burnin < 1.0:
        raise UserError(f"--burnin {burnin:g} is not a share of the trees; give 0 to below 1")
    source = source_name(path)
    suffix = Path(str(path).removesuffix(".gz")).suffix
    parsed = _read_table(path, source) if suffix == ".tsv" else parse_tree_file(path)
    if names is None:
        names = sorted(taxon_index(parsed[0], None, source)[0])
    order, index = taxon_index(parsed[0], names, source)
    skipped = int(burnin * len(parsed)) if suffix in CHAIN_SUFFIXES else 0
    kept = parsed[skipped:]
    if not any(tree.weight > 0 for tree in kept):
        raise UserError(f"{source}: no tree has any weight, so there is nothing to count")
    return TreeSample(
        names=order,
        branches=tuple(_branches(tree, index, source) for tree in kept),
        weights=tuple(tree.weight for tree in kept),
        n_read=len(parsed),
        source=source,
    )


def _branches(tree: ParsedTree, index: dict[str, int], source: str) -> dict[int, float | None]:
    """Return the length of each split; the two halves of a root branch are added."""
    n = max(index.values()) + 1
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
        if split in found:
            before = found[split]
            length = None if length is None or before is None else length + before
        found[split] = length
    return found


def _leaf(tree: ParsedTree, node: int, index: dict[str, int], n: int, source: str) -> int:
    label = tree.labels[node] or ""
    if label not in index:
        raise TreeFileError(
            f"{source}: {tree.place}: taxon '{label}' is not among the {n} taxa expected; "
            "all trees must have the same taxa"
        )
    return 1 << index[label]


def _read_table(path: Path | str, source: str) -> list[ParsedTree]:
    """Return the trees of a table with a column ``newick`` and perhaps one ``probability``."""
    table = csv.DictReader(io.StringIO(read_text(path, TreeFileError)), delimiter="\t")
    if "newick" not in (table.fieldnames or []):
        raise TreeFileError(f"{source}: line 1: the table has no column 'newick'")
    trees = []
    for line, row in enumerate(table, 2):
        (tree,) = list(parse_newick(row["newick"] or "", source, line))[:1] or [None]
        if tree is None:
            raise TreeFileError(f"{source}: line {line}: the column 'newick' is empty")
        trees.append(_weighted(tree, row.get("probability"), source, line))
    if not trees:
        raise TreeFileError(f"{source}: has no trees below its head line")
    return trees


def _weighted(tree: ParsedTree, text: str | None, source: str, line: int) -> ParsedTree:
    try:
        weight = 1.0 if text is None else parse_float(text, 0.0)
    except NumberError:
        raise TreeFileError(f"{source}: line {line}: '{text}' is not a probability") from None
    return ParsedTree(tree.parent, tree.labels, tree.lengths, tree.is_leaf, weight, f"line {line}")
