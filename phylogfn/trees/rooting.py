"""Rooting at an outgroup, or halfway between the two most distant leaves.

The posterior does not determine the root. Midpoint rooting follows Farris, Am. Nat. 106:645 (1972).
"""

from __future__ import annotations

from collections.abc import Set

from phylogfn.trees.consensus import ConsensusTree

__all__ = ["root_at_midpoint", "root_at_outgroup"]

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


def root_at_outgroup(tree: ConsensusTree, outgroup: Set[int]) -> ConsensusTree | None:
    """Return the tree rooted in the middle of the branch to an outgroup, smaller subtrees first.

    Both halves of the branch keep its support.

    Parameters
    ----------
    tree : ConsensusTree
    outgroup : set of int
        Numbers of taxa: one or more, and not all.

    Returns
    -------
    rooted : ConsensusTree or None
        None if no branch separates the outgroup from the other taxa.
    """
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
    if branch is None:
        return None
    half = (tree.lengths[branch] or 0.0) / 2
    return _rooted(tree, _neighbours(tree), branch, branch, half)


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
