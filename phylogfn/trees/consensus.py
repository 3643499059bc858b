"""Consensus trees: majority rule and strict, with clade probabilities and mean branch lengths.

Majority rule after Margush & McMorris, Bull. Math. Biol. 43:239 (1981): the splits found in more
than half of the trees are compatible, and so form one tree, which may have polytomies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from phylogfn.text.quoting import newick_labels, nexus_labels
from phylogfn.trees.splits import SplitTable
from phylogfn.trees.tree import Tree, ordered_children

__all__ = [
    "ConsensusTree",
    "consensus_newick",
    "consensus_nexus",
    "consensus_splits",
    "consensus_tree",
    "rounded_supports",
    "tree_of_splits",
    "without_supports",
]

MAY_CONTRADICT = 0.75  # estimated support below which two splits above one half may contradict
ROUNDING = 1e-9  # a sum of shares that is 0.5 may come out larger than that by less


@dataclass(frozen=True)
class ConsensusTree:
    """A tree of any degree, as parallel tuples with one entry per node.

    Node 0 is the base. Nodes are in pre-order: each before its children, and all nodes below a node
    before its next sister.

    Parameters
    ----------
    parent : tuple of int
        The node above each node, -1 for the base.
    taxon : tuple of int or None
        The number of the taxon, for leaves.
    lengths : tuple of float or None
        The branch above each node, in expected substitutions per site; None if unknown.
    length_sds : tuple of float or None
        Standard deviations of these in the posterior.
    supports : tuple of float or None
        Share of the trees that contain the split of the branch above; None for leaves and the base.
    support_errors : tuple of float or None
        Standard errors of these; empty, or None, where they are unknown.
    """

    parent: tuple[int, ...]
    taxon: tuple[int | None, ...]
    lengths: tuple[float | None, ...]
    length_sds: tuple[float | None, ...]
    supports: tuple[float | None, ...]
    support_errors: tuple[float | None, ...] = ()

    def __len__(self) -> int:
        return len(self.parent)

    @classmethod
    def from_tree(cls, tree: Tree) -> ConsensusTree:
        """Return a binary tree in this form: its base is the neighbour of taxon 0."""
        order, parent = [0], [0]  # of nodes of the tree, and of the places of those above them
        children = ordered_children(tree)
        stack = [(0, child) for child in reversed(children[children[0][0]])]
        while stack:
            above, node = stack.pop()
            here = len(order) + 1
            order.append(node)
            parent.append(above)
            stack.extend((here, child) for child in reversed(children[node]))
        lengths: list[float | None] = [None] * len(order)
        if tree.lengths is not None:
            of_branch = tree.lengths.tolist()
            lengths = [of_branch[node] for node in (children[0][0], *order[1:])]
        unknown = (None,) * (len(order) + 1)
        return cls(
            parent=(-1, *parent),
            taxon=(None, *(node if node < tree.n_taxa else None for node in order)),
            lengths=(None, *lengths),
            length_sds=unknown,
            supports=unknown,
        )

    def support_error(self, node: int) -> float | None:
        """Return the standard error of the support of a node, None if unknown."""
        return self.support_errors[node] if self.support_errors else None

    def children(self) -> list[list[int]]:
        """Return the children of each node, in the order drawn."""
        below: list[list[int]] = [[] for _ in self.parent]
        for node, above in enumerate(self.parent[1:], 1):
            below[above].append(node)
        return below


def consensus_splits(table: SplitTable, *, strict: bool = False) -> dict[int, float]:
    """Return the splits of the consensus with their supports, most inclusive first.

    Parameters
    ----------
    table : SplitTable
        Supports of all splits.
    strict : bool
        Only splits found in all trees, instead of in more than half; both up to rounding.
    """
    kept = {
        split: support
        for split, support in table.supports.items()
        if (support >= 1.0 - ROUNDING if strict else support > 0.5 + ROUNDING)
    }
    kept = _compatible(kept)
    return dict(sorted(kept.items(), key=lambda item: (-item[0].bit_count(), item[0])))


def _compatible(supports: Mapping[int, float]) -> dict[int, float]:
    """Return the splits without those that contradict one of higher support.

    Shares of trees above one half never contradict each other, but estimates with errors can.
    """
    doubtful = [split for split, support in supports.items() if support < MAY_CONTRADICT]
    kept = {split: s for split, s in supports.items() if s >= MAY_CONTRADICT}
    for split in sorted(doubtful, key=lambda split: (-supports[split], split)):
        if all(split & other in (0, split, other) for other in kept):
            kept[split] = supports[split]
    return kept


def consensus_tree(table: SplitTable, *, strict: bool = False) -> ConsensusTree:
    """Return the consensus tree, unrooted: its base is the neighbour of taxon 0.

    Children are in the order of their smallest taxon; see :func:`consensus_splits`.
    """
    return tree_of_splits(table, consensus_splits(table, strict=strict))


def tree_of_splits(table: SplitTable, supports: Mapping[int, float]) -> ConsensusTree:
    """Return the tree of some compatible splits, unrooted: its base is the neighbour of taxon 0.

    Children are in the order of their smallest taxon.

    Parameters
    ----------
    table : SplitTable
        Mean lengths, their deviations, and errors of supports.
    supports : mapping of int to float
        The non-trivial splits of the tree with their supports.
    """
    n = table.n_taxa
    everything = (1 << n) - 2
    # From small to large: the largest sets so far are disjoint, and known by their lowest taxon.
    largest = {1 << taxon: 1 << taxon for taxon in range(1, n)}
    below: dict[int, list[int]] = {}
    for split in [*sorted(supports, key=int.bit_count), everything]:
        below[split] = []
        rest = split
        while rest:
            part = largest.pop(_lowest(rest))
            below[split].append(part)  # in the order of their lowest taxa
            rest ^= part
        largest[_lowest(split)] = split
    parent, order = [-1, 0], [everything, everything]
    stack = [(0, split) for split in reversed(below[everything])]
    while stack:
        above, split = stack.pop()
        here = len(parent)
        parent.append(above)
        order.append(split)
        stack.extend((here, child) for child in reversed(below.get(split, ())))
    leaf = [None, 0, *(s.bit_length() - 1 if s.bit_count() == 1 else None for s in order[2:])]
    return ConsensusTree(
        parent=tuple(parent),
        taxon=tuple(leaf),
        # The branch of taxon 0 is that of all other taxa.
        lengths=(None, *(table.mean_lengths.get(split) for split in order[1:])),
        length_sds=(None, *(table.sd_lengths.get(split) for split in order[1:])),
        supports=(None, None, *(supports.get(split) for split in order[2:])),
        support_errors=(
            None,
            None,
            *(table.errors.get(split) if split in supports else None for split in order[2:]),
        ),
    )


def rounded_supports(tree: ConsensusTree, decimals: Callable[[float], int]) -> ConsensusTree:
    """Return the tree with each support rounded to the decimals that its error allows.

    Parameters
    ----------
    tree : ConsensusTree
    decimals : callable
        The number of decimals for a standard error. Supports without an error are not rounded.
    """
    supports: list[float | None] = []
    for node, support in enumerate(tree.supports):
        error = tree.support_error(node)
        if support is not None and error is not None:
            support = round(support, decimals(error))
        supports.append(support)
    return replace(tree, supports=tuple(supports))


def without_supports(tree: ConsensusTree) -> ConsensusTree:
    """Return the tree without its supports."""
    return replace(tree, supports=(None,) * len(tree), support_errors=())


def consensus_newick(tree: ConsensusTree, names: Sequence[str], *, exact: bool = False) -> str:
    """Return plain Newick text: clade probabilities as labels of the nodes, and lengths.

    Parameters
    ----------
    tree : ConsensusTree
    names : sequence of str
        The taxa.
    exact : bool
        Lengths are written so that they read back to the same numbers, otherwise with eight digits.
    """
    labels = newick_labels(names)

    def end(node: int) -> str:
        support, length = tree.supports[node], tree.lengths[node]
        label = "" if support is None else f"{support:.6g}"
        if length is None:
            return label
        return f"{label}:{length!r}" if exact else f"{label}:{length:.8g}"

    return _newick(tree, labels, end)


def consensus_nexus(
    tree: ConsensusTree,
    names: Sequence[str],
    *,
    strict: bool = False,
    rooted: bool = False,
    label: str | None = None,
) -> str:
    """Return a NEXUS file with clade probabilities for FigTree.

    The layout is that of MrBayes' ``.con.tre``: annotations ``[&key=value]`` follow the node and
    precede the length of its branch. ``prob`` is the probability of a clade and ``prob_stddev`` its
    standard error, if it is known. ``label`` is the name of the tree, by default that of a
    consensus.
    """

    def end(node: int) -> str:
        if node == 0:
            return ""
        support, length, deviation = tree.supports[node], tree.lengths[node], tree.length_sds[node]
        if support is None and tree.taxon[node] is not None:
            support = 1.0
        entries = []
        if support is not None:
            entries = [f"prob={support:.6g}"]
            if (error := tree.support_error(node)) is not None:
                entries.append(f"prob_stddev={error:.2g}")
            entries.append(f"prob_percent={100 * support:.0f}")
        if length is not None and deviation is not None:
            entries += [f"length_mean={length:.8g}", f"length_sd={deviation:.8g}"]
        annotation = f"[&{','.join(entries)}]" if entries else ""
        return annotation + ("" if length is None else f":{length:.8g}")

    newick = _newick(tree, [str(number) for number in range(1, len(names) + 1)], end)
    labels = nexus_labels(names)
    label = label or ("con_strict" if strict else "con_50_majrule")
    lines = ["#NEXUS", "begin taxa;", f"\tdimensions ntax={len(names)};", "\ttaxlabels"]
    lines += [f"\t\t{label}" for label in labels]
    lines += ["\t\t;", "end;", "begin trees;", "\ttranslate"]
    lines += [f"\t\t{number}\t{label}," for number, label in enumerate(labels, 1)]
    lines[-1] = lines[-1].removesuffix(",")
    lines += ["\t\t;", f"   tree {label} = [&{'R' if rooted else 'U'}] {newick}", "end;"]
    return "\n".join(lines) + "\n"


def _newick(tree: ConsensusTree, labels: Sequence[str], end: Callable[[int], str]) -> str:
    children = tree.children()
    parts: list[str] = []
    stack: list[tuple[int, bool]] = [(0, False)]  # nodes, and whether their subtrees are written
    while stack:
        node, written = stack.pop()
        taxon = tree.taxon[node]
        if parts and not written and parts[-1] != "(":
            parts.append(",")
        if taxon is not None:
            parts.append(labels[taxon] + end(node))
        elif written:
            parts.append(")" + end(node))
        else:
            parts.append("(")
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(children[node]))
    return "".join(parts) + ";"


def _lowest(split: int) -> int:
    return split & -split
