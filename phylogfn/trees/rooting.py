"""Rooting at an outgroup, or halfway between the two most distant leaves.

The posterior does not determine the root. Midpoint rooting follows Farris, Am. Nat. 106:645 (1972).
"""

from __future__ import annotations

from collections.abc import Sequence

from gfncore.errors import UserError
from gfncore.text.hints import did_you_mean
from phylogfn.text.taxon_names import TaxonIndex
from phylogfn.trees.consensus import ConsensusTree
from phylogfn.trees.tree import Tree

__all__ = [
    "outgroup_names",
    "outgroup_split",
    "outgroup_taxa",
    "root_at_midpoint",
    "root_at_outgroup",
    "rooted_tree",
]

_Neighbours = list[list[tuple[int, int]]]  # of each node: (neighbour, branch)


def root_at_midpoint(tree: ConsensusTree) -> ConsensusTree:
    """Return the tree rooted at its midpoint, smaller subtrees first.

    The branch with the root is cut in two, and both parts keep its support. The tree is returned
    as it is when lengths are not known, or all are zero.
    """
    if len(tree) < 3 or any(length is None for length in tree.lengths[1:]):
        return tree
    lengths = [0.0 if length is None else length for length in tree.lengths]
    near = _neighbours(tree)
    start = next(node for node, taxon in enumerate(tree.taxon) if taxon is not None)
    one, _, _ = _farthest(tree, near, lengths, start)
    other, distance, toward = _farthest(tree, near, lengths, one)
    half = distance[other] / 2
    if not half > 0:
        return tree
    low = other  # go back from the far end until half of the way is behind
    while distance[toward[low]] > half:
        low = toward[low]
    high = toward[low]
    branch = low if tree.parent[low] == high else high
    return _rooted(tree, near, branch, low, distance[low] - half)


def outgroup_taxa(given: Sequence[str], names: Sequence[str], place: str) -> tuple[int, ...]:
    """Return the numbers of the taxa of an outgroup, each once.

    Parameters
    ----------
    given : sequence of str
        Names of taxa, or several names in one text, separated by commas.
    names : sequence of str, length n
        All taxa.
    place : str
        The option, or the file and command, with which errors begin.

    Raises
    ------
    UserError
        A taxon is unknown, or no taxon or all taxa are given.

    Examples
    --------
    >>> outgroup_taxa(["c,a"], ["a", "b", "c"], "--outgroup")
    (2, 0)
    """
    index = TaxonIndex(names)
    words = [
        word
        for text in given
        for word in ([text] if text in index else [part.strip() for part in text.split(",")])
        if word
    ]
    for word in words:
        if word not in index:
            hint = did_you_mean(word, names)
            raise UserError(
                f"{place}: '{word}' is not one of the {len(names)} taxa"
                f"{hint or f', such as {chr(39)}{names[0]}{chr(39)}; correct the name'}"
            )
    taxa = tuple(dict.fromkeys(index[word] for word in words))
    if not 0 < len(taxa) < len(names):
        raise UserError(
            f"{place}: {len(taxa)} of {len(names)} taxa are given; give one or more, and not all "
            "of them"
        )
    return taxa


def outgroup_names(
    given: Sequence[str], names: Sequence[str], declared: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the taxa of the outgroup of a run; empty if its trees are unrooted.

    Parameters
    ----------
    given : sequence of str
        Values of ``--outgroup``: names (see `outgroup_taxa`), or ``none``.
    names : sequence of str
        All taxa.
    declared : sequence of str
        The outgroup of the alignment's file, if nothing is given.

    Raises
    ------
    UserError
        A taxon is unknown, or all taxa are given.
    """
    if not given or (tuple(given) == ("none",) and "none" not in names):
        return () if given else tuple(declared)
    return tuple(names[taxon] for taxon in outgroup_taxa(given, names, "--outgroup"))


def outgroup_split(outgroup: Sequence[int], n_taxa: int) -> int:
    """Return the split of an outgroup from the other taxa, as its side without taxon 0."""
    split = sum(1 << taxon for taxon in outgroup)
    return ((1 << n_taxa) - 1) ^ split if split & 1 else split


def root_at_outgroup(
    tree: ConsensusTree, outgroup: Sequence[int], *, nearest: bool = False
) -> ConsensusTree | None:
    """Return the tree rooted in the middle of the branch to an outgroup, smaller subtrees first.

    Both halves of the branch keep its support. The root that the tree has, a base with two
    branches, is removed.

    Parameters
    ----------
    tree : ConsensusTree
    outgroup : sequence of int
        Numbers of taxa: one or more, and not all.
    nearest : bool
        If no branch separates the outgroup from the other taxa, root the tree on the branch with
        the smallest number of taxa on the wrong side; of several, on that with most of the
        outgroup on one side, and then on that which separates the first taxon of the outgroup.

    Returns
    -------
    rooted : ConsensusTree or None
        None if no branch separates the outgroup from the other taxa, unless `nearest`.
    """
    tree = _without_root(tree)
    below = [0] * len(tree)
    for node in range(len(tree) - 1, -1, -1):
        taxon = tree.taxon[node]
        if taxon is not None:
            below[node] |= 1 << taxon
        if node:
            below[tree.parent[node]] |= below[node]
    wanted = sum(1 << taxon for taxon in outgroup)
    sides = (wanted, below[0] ^ wanted)
    branch = next((node for node in range(1, len(tree)) if below[node] in sides), None)
    if branch is None and not nearest:
        return None
    if branch is None:
        branch = _nearest_branch(below, wanted, 1 << outgroup[0])
    half = (tree.lengths[branch] or 0.0) / 2
    return _rooted(tree, _neighbours(tree), branch, branch, half)


def rooted_tree(tree: Tree, outgroup: Sequence[int]) -> ConsensusTree:
    """Return a binary tree, rooted on the branch that separates most of an outgroup, if any."""
    unrooted = ConsensusTree.from_tree(tree)
    if not outgroup:
        return unrooted
    rooted = root_at_outgroup(unrooted, outgroup, nearest=True)
    assert rooted is not None
    return rooted


def _without_root(tree: ConsensusTree) -> ConsensusTree:
    """Return the tree with the two branches of its base, if these are all, joined to one."""
    top = [node for node, above in enumerate(tree.parent) if above == 0]
    inner = next((node for node in top if tree.taxon[node] is None), None)
    if len(top) != 2 or inner is None:
        return tree
    (other,) = (node for node in top if node != inner)
    halves = tree.lengths[inner], tree.lengths[other]
    lengths = list(tree.lengths)
    lengths[other] = None if halves[0] is None or halves[1] is None else halves[0] + halves[1]
    kept = [node for node in range(len(tree)) if node != inner]
    new = {node: number for number, node in enumerate(kept)} | {-1: -1, inner: 0}
    return ConsensusTree(
        parent=tuple(new[tree.parent[node]] for node in kept),
        taxon=tuple(tree.taxon[node] for node in kept),
        lengths=tuple(lengths[node] for node in kept),
        length_sds=tuple(tree.length_sds[node] for node in kept),
        supports=tuple(tree.supports[node] for node in kept),
        support_errors=tuple(tree.support_error(node) for node in kept),
    )


def _nearest_branch(below: list[int], wanted: int, first: int) -> int:
    """Return the branch that separates most of an outgroup; see `root_at_outgroup`.

    Parameters
    ----------
    below : list of int
        Taxa below each node.
    wanted, first : int
        The outgroup and its first taxon, as bits.
    """

    def rank(node: int) -> tuple[int, int, bool]:
        side = below[node]
        if 2 * (side ^ wanted).bit_count() > below[0].bit_count():
            side ^= below[0]
        return (side ^ wanted).bit_count(), -(side & wanted).bit_count(), not side & first

    return min(range(1, len(below)), key=rank)


def _neighbours(tree: ConsensusTree) -> _Neighbours:
    near: _Neighbours = [[] for _ in range(len(tree))]
    for node, above in enumerate(tree.parent[1:], 1):
        near[node].append((above, node))
        near[above].append((node, node))
    return near


def _farthest(
    tree: ConsensusTree, near: _Neighbours, lengths: list[float], start: int
) -> tuple[int, list[float], list[int]]:
    """Return the leaf farthest from ``start``, all distances, and the next node towards it."""
    distance, toward = [-1.0] * len(tree), [-1] * len(tree)
    distance[start] = 0.0
    stack = [start]
    while stack:
        here = stack.pop()
        for there, branch in near[here]:
            if distance[there] < 0:
                distance[there] = distance[here] + lengths[branch]
                toward[there] = here
                stack.append(there)
    leaves = (node for node, taxon in enumerate(tree.taxon) if taxon is not None and node != start)
    return max(leaves, key=lambda node: (distance[node], -node)), distance, toward


def _rooted(
    tree: ConsensusTree, near: _Neighbours, branch: int, low: int, to_low: float
) -> ConsensusTree:
    """Return the tree with its base on ``branch``, ``to_low`` away from the end ``low``."""
    high = next(there for there, b in near[low] if b == branch)
    above = {low: -1, high: -1}
    order = [low, high]
    for here in order:  # grows while it is read
        for there, b in near[here]:
            if b != branch and there != above[here]:
                above[there] = here
                order.append(there)
    via = {low: branch, high: branch}
    for here in order[2:]:
        via[here] = here if tree.parent[here] == above[here] else above[here]
    size, first = dict.fromkeys(order, 0), dict.fromkeys(order, len(tree))
    for here in reversed(order):
        taxon = tree.taxon[here]
        if taxon is not None:
            size[here], first[here] = 1, taxon
        if above[here] >= 0:
            size[above[here]] += size[here]
            first[above[here]] = min(first[above[here]], first[here])
    below: dict[int, list[int]] = {here: [] for here in order} | {-1: [low, high]}
    for here in order[2:]:
        below[above[here]].append(here)
    parent, old = [-1], [-1]
    stack = [(0, child) for child in _drawn_last_first(below[-1], size, first)]
    while stack:
        up, here = stack.pop()
        number = len(parent)
        parent.append(up)
        old.append(here)
        stack.extend((number, child) for child in _drawn_last_first(below[here], size, first))
    halves: dict[int, float | None] = {low: None, high: None}
    whole = tree.lengths[branch]
    if whole is not None:
        to_low = min(max(to_low, 0.0), whole)
        halves = {low: to_low, high: whole - to_low}
    return ConsensusTree(
        parent=tuple(parent),
        taxon=(None, *(tree.taxon[here] for here in old[1:])),
        lengths=(None, *(halves.get(here, tree.lengths[via[here]]) for here in old[1:])),
        length_sds=(None, *(tree.length_sds[via[here]] for here in old[1:])),
        supports=(
            None,
            *(tree.supports[via[h]] if tree.taxon[h] is None else None for h in old[1:]),
        ),
        support_errors=(
            None,
            *(tree.support_error(via[h]) if tree.taxon[h] is None else None for h in old[1:]),
        ),
    )


def _drawn_last_first(nodes: list[int], size: dict[int, int], first: dict[int, int]) -> list[int]:
    return sorted(nodes, key=lambda node: (size[node], first[node]), reverse=True)
