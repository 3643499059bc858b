"""Array trees from edge lists, from nested tuples and from parsed text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from phylogfn.errors import TreeFileError, quoted_list
from phylogfn.trees.newick import ParsedTree
from phylogfn.trees.tree import Tree, canonical_from_lists

__all__ = [
    "leaf_names",
    "parsed_splits",
    "tree_from_edges",
    "tree_from_nested",
    "tree_from_parsed",
]

_Subtree = tuple[int, float]  # its top node, and the length of the branch above


def tree_from_edges(
    n_taxa: int, edges: Iterable[tuple[int, int]], lengths: Iterable[float] | None = None
) -> Tree:
    """Return the tree of an undirected edge list, in canonical form.

    Parameters
    ----------
    n_taxa : int
        The number of leaves, at least 2; they are labelled 0..n-1, internal nodes arbitrarily.
    edges : iterable of (int, int), length 2n-3
        The branches.
    lengths : iterable of float, length 2n-3, optional
        Their lengths.

    Raises
    ------
    ValueError
        If the edges are not an unrooted binary tree on those leaves.
    """
    edges = list(edges)
    values = [0.0] * len(edges) if lengths is None else [float(x) for x in lengths]
    if n_taxa < 2 or len(edges) != 2 * n_taxa - 3 or len(values) != len(edges):
        raise ValueError(f"a tree of {n_taxa} taxa needs {2 * n_taxa - 3} branches")
    neighbours: dict[int, list[tuple[int, float]]] = {leaf: [] for leaf in range(n_taxa)}
    for (u, v), value in zip(edges, values, strict=True):
        neighbours.setdefault(u, []).append((v, value))
        neighbours.setdefault(v, []).append((u, value))
    number = {node: node for node in range(n_taxa)}
    number |= {
        node: at for at, node in enumerate((v for v in neighbours if v not in number), n_taxa)
    }
    if len(number) != 2 * n_taxa - 2 or any(
        len(near) != (1 if node == number[node] < n_taxa else 3)
        for node, near in neighbours.items()
    ):
        raise ValueError("each leaf must have one neighbour and each internal node three")
    parent = [-1] * len(number)
    below = [0.0] * len(number)
    order: list[int] = []
    stack = [(0, 0)]
    while stack:  # pre-order from leaf 0; without a cycle, only the node above is visited twice
        node, above = stack.pop()
        here = number[node]
        order.append(here)
        if len(order) > len(number):
            break
        for other, value in neighbours[node]:
            if other != above:
                parent[number[other]] = here
                below[number[other]] = value
                stack.append((other, node))
    if sorted(order) != list(range(len(number))):
        raise ValueError("the branches do not connect all nodes")
    return canonical_from_lists(parent, None if lengths is None else below, order[::-1])


def tree_from_nested(nested: Any) -> Tree:
    """Return the topology of nested tuples of taxon numbers, such as ``((0, 1), (2, 3), 4)``.

    A base of two subtrees is unrooted. Raises ValueError when the tree is not binary elsewhere.
    """
    edges: list[tuple[int, int]] = []
    taxa: list[int] = []
    count = 0

    def walk(item: Any) -> int:
        nonlocal count
        if not isinstance(item, (tuple, list)):
            taxa.append(int(item))
            return int(item)
        count += 1
        here = -count
        for part in item:
            edges.append((here, walk(part)))
        return here

    top = [walk(part) for part in nested]
    edges.extend([(top[0], top[1])] if len(top) == 2 else [(-count - 1, node) for node in top])
    if sorted(taxa) != list(range(len(taxa))):
        raise ValueError("the taxa must be 0..n-1, each once")
    return tree_from_edges(len(taxa), edges)


def leaf_names(parsed: ParsedTree) -> list[str]:
    """Return the labels of the leaves, in the order of the text."""
    return [label or "" for label, leaf in zip(parsed.labels, parsed.is_leaf, strict=True) if leaf]


def _leaf_numbers(parsed: ParsedTree, index: Mapping[str, int], source: str) -> dict[int, int]:
    """Return the taxon of each leaf node, after checking that it is a bijection."""
    numbers = {
        node: index.get(label or "", -1)
        for node, (label, leaf) in enumerate(zip(parsed.labels, parsed.is_leaf, strict=True))
        if leaf
    }
    where = f"{source}: {parsed.place}"
    known = f"the {len(index)} taxa expected"
    strange = [parsed.labels[node] or "" for node, number in numbers.items() if number < 0]
    if strange:
        raise TreeFileError(f"{where}: {quoted_list(strange)} not among {known}")
    found = Counter(numbers.values())
    twice = [name for name, number in index.items() if found[number] > 1]
    if twice:
        raise TreeFileError(f"{where}: {quoted_list(twice)} more than once; each taxon is one leaf")
    missing = [name for name, number in index.items() if not found[number]]
    if missing:
        raise TreeFileError(f"{where}: {quoted_list(missing)} missing, of {known}")
    return numbers


def parsed_splits(parsed: ParsedTree, index: Mapping[str, int], source: str) -> set[int]:
    """Return the non-trivial splits of a tree of any degree (see `phylogfn.trees.tree.splits`)."""
    numbers = _leaf_numbers(parsed, index, source)
    masks = [0] * len(parsed.parent)
    for node in range(len(masks) - 1, 0, -1):
        if node in numbers:
            masks[node] = 1 << numbers[node]
        masks[parsed.parent[node]] |= masks[node]
    full = masks[0]
    sides = {full ^ mask if mask & 1 else mask for mask in masks}
    return {side for side in sides if 1 < side.bit_count() < full.bit_count() - 1}


def tree_from_parsed(
    parsed: ParsedTree, index: Mapping[str, int], source: str, multifurcations: str = "error"
) -> Tree:
    """Return the unrooted binary tree of parsed text, in canonical form.

    A root of two branches becomes one branch of their summed length; nodes with one child are
    removed.

    Parameters
    ----------
    parsed : ParsedTree
        The tree.
    index : mapping of str to int
        The number of each taxon, 0..n-1.
    source : str
        Name of the file for messages.
    multifurcations : {"error", "resolve"}
        Treatment of nodes with more than three branches: refuse them, or resolve them in the order
        of the text by branches of length 0.

    Raises
    ------
    TreeFileError
        If the taxa are not those of `index`, or the tree is not binary, or only some branches have
        lengths.
    """
    where = f"{source}: {parsed.place}"
    numbers = _leaf_numbers(parsed, index, source)
    given = [length is not None for length in parsed.lengths[1:]]
    if any(given) and not all(given):
        node = given.index(False) + 1
        name = repr(parsed.labels[node]) if parsed.labels[node] else "an internal node"
        raise TreeFileError(f"{where}: the branch of {name} has no length; give all or none")
    below: list[list[_Subtree]] = [[] for _ in parsed.parent]
    branches: list[tuple[int, int, float]] = []
    for node in range(len(parsed.parent) - 1, -1, -1):
        children = below[node][::-1]
        limit = 2 if node else 3
        if len(children) > limit:
            if multifurcations != "resolve":
                raise TreeFileError(
                    f"{where}: a node has {len(children)} subtrees; only fully resolved trees "
                    "(two subtrees a node, two or three at the root) can be used here"
                )
            children = _resolved(children, limit, branches)
        length = parsed.lengths[node] or 0.0
        top = (numbers.get(node, len(index) + node), length)
        if node == 0 and len(children) == 2:
            (left, above_left), (right, above_right) = children
            branches.append((left, right, above_left + above_right))
        elif node == 0 and len(children) == 1:
            raise TreeFileError(f"{where}: the root has one subtree; remove it")
        elif len(children) == 1:
            top = (children[0][0], children[0][1] + length)
        else:
            branches.extend((top[0], child, value) for child, value in children)
        if node:
            below[parsed.parent[node]].append(top)
    edges = [(u, v) for u, v, _ in branches]
    values = [value for _, _, value in branches] if any(given) else None
    return tree_from_edges(len(index), edges, values)


def _resolved(
    children: list[_Subtree], limit: int, branches: list[tuple[int, int, float]]
) -> list[_Subtree]:
    """Join the last children by branches of length 0 until `limit` are left."""
    children = list(children)
    while len(children) > limit:
        joint = -1 - len(branches)  # negative: not the number of any other node
        branches.extend((joint, *children.pop()) for _ in range(2))
        children.append((joint, 0.0))
    return children
