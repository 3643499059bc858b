"""Unrooted binary trees as arrays.

A tree of n taxa has 2n - 2 nodes: 0..n-1 are the leaves, in the order of the alignment, and
n..2n-3 the internal nodes, in any order. It is drawn rooted at leaf 0, so that each of its 2n - 3
branches belongs to the node below it:

``parent``    int32 (2n-2,), ``parent[0] = -1``
``children``  int32 (2n-2, 2), ascending; a leaf has (-1, -1), leaf 0 has (its neighbour, -1)
``lengths``   float64 (2n-2,), expected substitutions per site; ``lengths[0]`` is 0 and unused

A split is a Python integer: bit i is set when taxon i is on the side without taxon 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phylogfn.text.quoting import newick_labels

if TYPE_CHECKING:
    from ete3 import Tree as EteTree

__all__ = [
    "Tree",
    "canonical",
    "canonical_from_lists",
    "canonical_newick",
    "children_from_parents",
    "node_splits",
    "ordered_children",
    "postorder",
    "random_topology",
    "relabel",
    "robinson_foulds",
    "splits",
    "to_ete3",
    "topology_key",
]


@dataclass(frozen=True, eq=False)
class Tree:
    """An unrooted binary tree, drawn rooted at leaf 0.

    Parameters
    ----------
    parent : ndarray, shape (2n-2,), int32
        The node above each node; -1 for leaf 0.
    children : ndarray, shape (2n-2, 2), int32
        The nodes below each node; see `children_from_parents`.
    lengths : ndarray, shape (2n-2,), float64, or None
        The branch above each node, in expected substitutions per site. None for a topology.
    """

    parent: NDArray[np.int32]
    children: NDArray[np.int32]
    lengths: NDArray[np.float64] | None = None

    @property
    def n_taxa(self) -> int:
        """The number of leaves, n."""
        return len(self.parent) // 2 + 1

    @classmethod
    def from_parents(cls, parent: Any, lengths: Any = None) -> Tree:
        """Return the tree of a parent array, with children derived."""
        parent = np.ascontiguousarray(parent, dtype=np.int32)
        if lengths is not None:
            lengths = np.ascontiguousarray(lengths, dtype=np.float64)
        return cls(parent, children_from_parents(parent), lengths)


def children_from_parents(parent: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the children arrays of one or many trees.

    Parameters
    ----------
    parent : ndarray, shape (..., 2n-2), int32
        Parent arrays.

    Returns
    -------
    children : ndarray, shape (..., 2n-2, 2), int32
        In ascending order; -1 where there is none.

    Raises
    ------
    ValueError
        When some internal node has not two children, or leaf 0 not one.
    """
    parent = np.asarray(parent)
    n_nodes = parent.shape[-1]
    n_taxa = n_nodes // 2 + 1
    flat = parent.reshape(-1, n_nodes)
    # Sorted by parent, the nodes read: 0 (below -1), the child of leaf 0, then pairs.
    order = np.argsort(flat, axis=1, kind="stable").astype(np.int32)
    expected = np.concatenate([[-1, 0], np.repeat(np.arange(n_taxa, n_nodes), 2)])[:n_nodes]
    if np.any(np.take_along_axis(flat, order, 1) != expected) or np.any(order[:, :1] != 0):
        raise ValueError("a parent array must give leaf 0 one child and each internal node two")
    children = np.full((len(flat), n_nodes, 2), -1, np.int32)
    children[:, 0, 0] = order[:, 1]
    children[:, n_taxa:] = order[:, 2:].reshape(len(flat), n_taxa - 2, 2)
    return children.reshape(*parent.shape, 2)


def postorder(tree: Tree) -> NDArray[np.int32]:
    """Return all 2n - 2 nodes, each after its children; leaf 0, the root, comes last."""
    order = np.empty(len(tree.parent), np.int32)
    children = tree.children.tolist()
    stack, at = [0], len(order)
    while stack:  # a reversed pre-order is a post-order
        node = stack.pop()
        at -= 1
        order[at] = node
        stack.extend(child for child in children[node] if child >= 0)
    return order


def node_splits(tree: Tree) -> list[int]:
    """Return the set of taxa below each node, as bitmasks (2n-2,); 0 for leaf 0."""
    masks = [0] * len(tree.parent)
    parent = tree.parent.tolist()
    for node in postorder(tree).tolist()[:-1]:
        if node < tree.n_taxa:
            masks[node] = 1 << node
        if parent[node] > 0:
            masks[parent[node]] |= masks[node]
    return masks


def splits(tree: Tree) -> set[int]:
    """Return the n - 3 non-trivial splits, as bitmasks of the side without taxon 0.

    Examples
    --------
    >>> [f"{split:05b}" for split in sorted(splits(random_topology(5, np.random.default_rng(1))))]
    ['11000', '11100']
    """
    n = tree.n_taxa
    parent = tree.parent.tolist()
    return {mask for node, mask in enumerate(node_splits(tree)) if node >= n and parent[node] > 0}


def robinson_foulds(first: Tree, second: Tree) -> int:
    """Return the number of splits found in only one tree (Robinson & Foulds 1981), 0..2n-6.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> robinson_foulds(random_topology(5, rng), random_topology(5, rng))
    4
    """
    if first.n_taxa != second.n_taxa:
        raise ValueError(f"trees of {first.n_taxa} and {second.n_taxa} taxa cannot be compared")
    return len(splits(first) ^ splits(second))


def _sorted_postorder(
    parent: Sequence[int], order: Sequence[int]
) -> tuple[list[int], list[list[int]]]:
    """Return a post-order that does not depend on the numbering, and the sorted children.

    `order` is any post-order, leaf 0 last.
    """
    n = len(parent) // 2 + 1
    smallest = list(range(n)) + [n] * (n - 2)  # the smallest leaf at or below each node
    children: list[list[int]] = [[] for _ in parent]
    for node in order[:-1]:
        above = parent[node]
        if smallest[node] < smallest[above]:
            smallest[above] = smallest[node]
            children[above].insert(0, node)
        else:
            children[above].append(node)
    out, stack = [], [0]
    while stack:
        node = stack.pop()
        out.append(node)
        stack.extend(children[node])
    return out[::-1], children


def ordered_children(tree: Tree) -> list[list[int]]:
    """Return the children of each node in the order of their smallest leaves."""
    return _sorted_postorder(tree.parent.tolist(), postorder(tree).tolist())[1]


def canonical(tree: Tree) -> Tree:
    """Return the same tree with its internal nodes numbered by the topology only.

    Two trees with the same topology have identical `parent` and `children`, and identical `lengths`
    if their lengths agree. The numbering is a post-order with the subtree of the smallest leaf
    first, so that in the result each internal node has a smaller number than its parent and the
    neighbour of leaf 0 is 2n-3.
    """
    lengths = None if tree.lengths is None else tree.lengths.tolist()
    return canonical_from_lists(tree.parent.tolist(), lengths, postorder(tree).tolist())


def canonical_from_lists(
    parent: Sequence[int], lengths: Sequence[float] | None, order: Sequence[int]
) -> Tree:
    """Return the canonical tree of a parent list, given any post-order of it; see `canonical`."""
    n, n_nodes = len(parent) // 2 + 1, len(parent)
    ordered, _ = _sorted_postorder(parent, order)
    new = list(range(n_nodes))
    for number, node in enumerate((node for node in ordered if node >= n), n):
        new[node] = number
    out = np.full(n_nodes, -1, np.int32)
    out[new[1:]] = [new[above] for above in parent[1:]]
    if lengths is None:
        return Tree.from_parents(out)
    values = np.zeros(n_nodes)
    values[new] = lengths
    return Tree.from_parents(out, values)


def topology_key(tree: Tree) -> bytes:
    """Return bytes that are equal only for trees with the same topology (length 8n - 8)."""
    return canonical(tree).parent.tobytes()


def relabel(tree: Tree, new_index: Sequence[int]) -> Tree:
    """Return the tree in which taxon i has become taxon ``new_index[i]``, in canonical form.

    Parameters
    ----------
    tree : Tree
        A tree of n taxa.
    new_index : sequence of int, length n
        A permutation of 0..n-1.
    """
    n = tree.n_taxa
    if sorted(int(i) for i in new_index) != list(range(n)):
        raise ValueError(f"new_index is not a permutation of 0..{n - 1}")
    new = np.concatenate([new_index, np.arange(n, len(tree.parent))]).astype(np.int32)
    parent = np.full(len(new), -1, np.int32)
    parent[new[1:]] = new[tree.parent[1:]]
    lengths = np.zeros(len(new))
    if tree.lengths is not None:
        lengths[new] = tree.lengths
    node, above, length = 0, int(parent[0]), lengths[0]
    parent[0], lengths[0] = -1, 0.0
    while above >= 0:  # turn round the branches between the new leaf 0 and the old
        following = int(parent[above]), lengths[above]
        parent[above], lengths[above] = node, length
        node, (above, length) = above, following
    return canonical(Tree.from_parents(parent, None if tree.lengths is None else lengths))


def random_topology(n_taxa: int, rng: np.random.Generator) -> Tree:
    """Return a topology drawn uniformly from the (2n-5)!! unrooted ones, without lengths.

    Taxa 1, 2, ... are inserted in order, each on a branch chosen uniformly: every topology has
    exactly one such history.
    """
    if n_taxa < 2:
        raise ValueError("a tree needs two taxa or more")
    parent = np.full(2 * n_taxa - 2, -1, np.int32)
    parent[1] = 0
    for taxon in range(2, n_taxa):
        inner = n_taxa + taxon - 2
        # Branches so far: above taxa 1..taxon-1 and above the inner nodes n..inner-1.
        pick = int(rng.integers(2 * taxon - 3))
        node = pick + 1 if pick < taxon - 1 else n_taxa + pick - (taxon - 1)
        parent[inner] = parent[node]
        parent[node] = parent[taxon] = inner
    return canonical(Tree(parent, children_from_parents(parent)))


def canonical_newick(tree: Tree, names: Sequence[str], lengths: bool = True) -> str:
    """Return Newick text that is the same for all equal trees.

    It is unrooted: a trifurcation at the neighbour of taxon 0, children in the order of their
    smallest taxon. Names are quoted where Newick needs it; lengths are written so that they read
    back to the same float64 values.

    Parameters
    ----------
    tree : Tree
        A tree of n taxa.
    names : sequence of str, length n
        The taxa, in the order of the alignment.
    lengths : bool, default True
        Write branch lengths, if the tree has them.

    Examples
    --------
    >>> tree = random_topology(5, np.random.default_rng(1))
    >>> canonical_newick(tree, ["a", "b", "c", "d", "e"])
    '(a,b,(c,(d,e)));'
    """
    if len(names) != tree.n_taxa:
        raise ValueError(f"{len(names)} names for {tree.n_taxa} taxa")
    values = tree.lengths.tolist() if lengths and tree.lengths is not None else None
    order, children = _sorted_postorder(tree.parent.tolist(), postorder(tree).tolist())
    text = [""] * len(order)
    labels = newick_labels(names)

    def branch(node: int) -> str:
        return text[node] if values is None else f"{text[node]}:{values[node]!r}"

    for node in order[:-1]:
        parts = [branch(child) for child in children[node]]
        text[node] = f"({','.join(parts)})" if parts else labels[node]
    top = children[0][0]
    first = labels[0] if values is None else f"{labels[0]}:{values[top]!r}"
    if tree.n_taxa == 2:
        other = labels[1] if values is None else f"{labels[1]}:0.0"
        return f"({first},{other});"
    return f"({','.join([first, *(branch(child) for child in children[top])])});"


def to_ete3(tree: Tree, names: Sequence[str]) -> EteTree:
    """Return the tree as an ``ete3.Tree`` with the canonical layout of `canonical_newick`.

    Raises ImportError when ete3 is not installed (the extra ``ete``).
    """
    from ete3 import Tree as EteTree

    children = ordered_children(tree)
    values = [1.0] * len(children) if tree.lengths is None else tree.lengths.tolist()
    top = children[0][0]
    base = EteTree()
    base.dist = 0.0
    base.add_child(name=names[0], dist=values[top])
    stack = [(base, child) for child in reversed(children[top])] or [(base, top)]
    while stack:
        above, node = stack.pop()
        name = names[node] if node < tree.n_taxa else ""
        here = above.add_child(name=name, dist=values[node] if children[top] else 0.0)
        stack.extend((here, child) for child in reversed(children[node]))
    return base
