"""Enumeration that shares nothing with the program: labelled skeletons under their permutations.

The skeletons are networkx' atlas of all graphs of up to seven nodes. Bond orders and kinds of node
are laid on each in all ways, and of those that an automorphism of the skeleton (found by trying all
permutations) takes into each other, the smallest is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import permutations, product

import networkx as nx
from rdkit import Chem

Skeleton = tuple[int, tuple[tuple[int, int], ...]]


@lru_cache
def skeletons(n: int) -> list[Skeleton]:
    """Number of nodes and edges of all connected graphs of `n` nodes."""
    found = []
    for graph in nx.graph_atlas_g():
        if graph.number_of_nodes() == n and nx.is_connected(graph):
            found.append((n, tuple(sorted((min(e), max(e)) for e in graph.edges))))
    return found


@lru_cache
def automorphisms(skeleton: Skeleton) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All automorphisms, as permutations of nodes and of edges."""
    n, edges = skeleton
    row = {edge: i for i, edge in enumerate(edges)}
    degree = [sum(u in edge for edge in edges) for u in range(n)]
    found = []
    for p in permutations(range(n)):
        if any(degree[p[u]] != degree[u] for u in range(n)):
            continue
        image = [row.get((min(p[u], p[v]), max(p[u], p[v]))) for u, v in edges]
        if None not in image:
            found.append((p, tuple(i for i in image if i is not None)))
    return found


def _orders(skeleton: Skeleton, largest: int, top: int) -> Iterator[list[int]]:
    """All bond orders of the edges whose sum at a node is at most `largest`."""
    n, edges = skeleton
    used, orders = [0] * n, []

    def lay(i: int) -> Iterator[list[int]]:
        if i == len(edges):
            yield list(orders)
            return
        u, v = edges[i]
        for k in range(1, min(top, largest - used[u], largest - used[v]) + 1):
            used[u] += k
            used[v] += k
            orders.append(k)
            yield from lay(i + 1)
            orders.pop()
            used[u] -= k
            used[v] -= k

    yield from lay(0)


def labelled_graphs(
    n: int, valences: Sequence[int], top: int = 3
) -> Iterator[tuple[tuple[int, ...], list[tuple[int, int, int]]]]:
    """Kinds and bonds of all connected graphs of `n` nodes, each once up to isomorphism."""
    for skeleton in skeletons(n):
        group = automorphisms(skeleton)
        edges = skeleton[1]
        for orders in _orders(skeleton, max(valences), top):
            images = [tuple(orders[i] for i in e) for _, e in group]
            if min(images) < tuple(orders):
                continue
            used = [0] * n
            for (u, v), k in zip(edges, orders, strict=True):
                used[u] += k
                used[v] += k
            fits = [[t for t, most in enumerate(valences) if most >= used[u]] for u in range(n)]
            stable = [
                p for (p, _), image in zip(group, images, strict=True) if list(image) == orders
            ]
            for kinds in product(*fits):
                if min(tuple(kinds[i] for i in p) for p in stable) == kinds:
                    yield kinds, [(u, v, k) for (u, v), k in zip(edges, orders, strict=True)]


def count_coloured_graphs(n: int, colours: int) -> int:
    """Connected graphs of `n` nodes with that many colours of nodes, by Burnside's lemma."""
    total = 0
    for skeleton in skeletons(n):
        group = automorphisms(skeleton)
        fixed = 0
        for p, _ in group:
            seen: set[int] = set()
            cycles = 0
            for u in range(n):
                cycles += u not in seen
                while u not in seen:
                    seen.add(u)
                    u = p[u]
            fixed += colours**cycles
        total += fixed // len(group)
    return total


def smallest_rings(n: int, bonds: Sequence[tuple[int, int, int]]) -> list[int]:
    """Size of the smallest ring of each bond; 0: none."""
    near: list[set[int]] = [set() for _ in range(n)]
    for u, v, _ in bonds:
        near[u].add(v)
        near[v].add(u)
    found = []
    for u, v, _ in bonds:
        reached, size = {u}, 1
        while v not in reached:
            grown = reached | {b for a in reached for b in near[a] if {a, b} != {u, v}}
            if len(grown) == len(reached):
                size = 0
                break
            reached, size = grown, size + 1
        found.append(size)
    return found


def keeps_rules(
    kinds: Sequence[int],
    bonds: Sequence[tuple[int, int, int]],
    valences: Sequence[int],
    ring_sizes: Sequence[int] | None = None,
    max_rings: int = 1000,
    strained: bool = True,
) -> bool:
    """The rules of the atom environment (without a core), written down once more."""
    rings = smallest_rings(len(kinds), bonds)
    if len(bonds) - len(kinds) + 1 > max_rings:
        return False
    if ring_sizes is not None and not set(rings) <= {0, *ring_sizes}:
        return False
    extra = [0] * len(kinds)
    for (u, v, order), size in zip(bonds, rings, strict=True):
        extra[u] += (order - 1) * (size > 0)
        extra[v] += (order - 1) * (size > 0)
    return strained or all(
        x <= 1 or valences[kind] > 4 for x, kind in zip(extra, kinds, strict=True)
    )


def smiles(
    symbols: Sequence[str], kinds: Sequence[int], bonds: Sequence[tuple[int, int, int]]
) -> str:
    """Canonical SMILES by way of a SMILES string that this module writes itself.

    Every bond is written as the closing of a ring between single-atom parts, so that the string is
    no work of RDKit's: "C%10%11.C=%10.O%11".
    """
    parts = [symbols[k] for k in kinds]
    for label, (u, v, order) in enumerate(bonds, start=10):
        sign = {1: "-", 2: "=", 3: "#"}[order]
        parts[u] += f"{sign}%{label}"
        parts[v] += f"{sign}%{label}"
    return Chem.CanonSmiles(".".join(parts))
