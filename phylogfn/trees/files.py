"""Files of trees: Newick or NEXUS, as MrBayes, BEAST, IQ-TREE and this program write them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gfncore.program.messages import Note
from phylogfn.errors import TreeFileError, shown
from phylogfn.text.taxon_names import TaxonIndex
from phylogfn.text.text_files import read_text, source_name
from phylogfn.trees.building import leaf_names, tree_from_parsed
from phylogfn.trees.newick import ParsedTree, parse_newick
from phylogfn.trees.nexus_trees import nexus_trees
from phylogfn.trees.tree import Tree

__all__ = [
    "NamedTrees",
    "parse_tree_file",
    "parse_tree_text",
    "read_trees",
    "reading_notes",
    "taxon_index",
]

_LINE_END = re.compile(r"[\n\v\f\x1c-\x1e\x85\u2028\u2029]")


@dataclass(frozen=True, eq=False)
class NamedTrees:
    """The trees of a file; iterating gives (tree, weight) pairs.

    Parameters
    ----------
    names : tuple of str, length n
        The taxa: taxon i of each tree is ``names[i]``.
    trees : tuple of Tree
        Trees in canonical form; lengths are None if the file has none.
    weights : ndarray, shape (n_trees,), float64
        The ``[&W ...]`` of each tree, otherwise 1; not normalised.
    source : str
        Name of the file for messages.
    notes : tuple of str
        Notes for the user about reading the file.
    """

    names: tuple[str, ...]
    trees: tuple[Tree, ...]
    weights: NDArray[np.float64]
    source: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.trees)

    def __iter__(self) -> Iterator[tuple[Tree, float]]:
        return zip(self.trees, self.weights.tolist(), strict=True)


def parse_tree_file(path: str | os.PathLike[str]) -> list[ParsedTree]:
    """Return the trees of a Newick or NEXUS file unchanged, of any degree.

    Raises TreeFileError if the file has no tree or is malformed.
    """
    notes: list[Note] = []
    text = read_text(path, TreeFileError, notes)
    return parse_tree_text(text, source_name(path), notes)


def parse_tree_text(text: str, source: str, notes: Sequence[str] = ()) -> list[ParsedTree]:
    """Return the trees of Newick or NEXUS text; see `parse_tree_file`.

    The first tree has `notes`, on how the text was read, before its own.
    """
    if re.match(r"\s*(\[[^\]]*\]\s*)*#NEXUS", text, re.IGNORECASE):
        trees = list(nexus_trees(text, source))
    else:
        trees = list(parse_newick(text, source))
    if not trees:
        raise TreeFileError(f"{source}: has no trees; give Newick, or NEXUS with a trees block")
    trees[0] = replace(trees[0], notes=(*notes, *trees[0].notes))
    return trees


def reading_notes(parsed: Sequence[ParsedTree]) -> tuple[str, ...]:
    """Return the notes on the reading of trees, each once."""
    return tuple(dict.fromkeys(note for tree in parsed for note in tree.notes))


def taxon_index(
    parsed: ParsedTree,
    names: Sequence[str] | None,
    source: str,
    aliases: Mapping[str, int] | None = None,
) -> tuple[tuple[str, ...], TaxonIndex]:
    """Return the taxa, those of the tree unless `names` are given, and their numbers by name.

    Raises TreeFileError when a leaf of the tree has no name.
    """
    leaves = leaf_names(parsed)
    if "" in leaves:
        raise TreeFileError(f"{source}: {parsed.place}: a leaf has no name")
    broken = next((name for name in leaves if _LINE_END.search(name)), None)
    if broken is not None:
        raise TreeFileError(
            f"{source}: {parsed.place}: the name {shown(broken)} holds a line end; a quote may not "
            "be closed"
        )
    if names is not None:
        return tuple(names), TaxonIndex(names, aliases)
    declared = set(parsed.taxa) == set(leaves) and len(parsed.taxa) == len(leaves)
    order = parsed.taxa if declared else tuple(dict.fromkeys(leaves))
    return order, TaxonIndex(order)


def read_trees(
    path: str | os.PathLike[str],
    names: Sequence[str] | None = None,
    *,
    aliases: Mapping[str, int] | None = None,
    multifurcations: str = "error",
) -> NamedTrees:
    """Read and return all trees of a file.

    Parameters
    ----------
    path : path-like
        A Newick file of one or many trees, or a NEXUS file with trees blocks, with or without
        TRANSLATE (including MrBayes' .t, .trprobs and .con.tre); plain or gzipped; ``-`` is
        standard input.
    names : sequence of str, optional
        The taxa in the order of their numbers; every tree must have exactly these. Default: the
        taxa of the first tree, in the order of TRANSLATE or TAXLABELS, otherwise of its text.
    aliases : mapping of str to int, optional
        Alternative names of taxa in trees, and their numbers.
    multifurcations : {"error", "resolve"}
        See `phylogfn.trees.building.tree_from_parsed`.

    Returns
    -------
    trees : NamedTrees
        Trees, weights and names.

    Raises
    ------
    TreeFileError
        The file cannot be read; the message is one line with file, tree or line and column, and the
        text found.
    """
    source = source_name(path)
    parsed = parse_tree_file(path)
    order, index = taxon_index(parsed[0], names, source, aliases)
    if len(order) < 3:
        raise TreeFileError(
            f"{source}: trees of {len(order)} taxa have no topology; at least 3 are needed"
        )
    trees = tuple(tree_from_parsed(tree, index, source, multifurcations) for tree in parsed)
    weights = np.array([tree.weight for tree in parsed])
    return NamedTrees(order, trees, weights, source, reading_notes(parsed))
