"""Exact symmetry of small coloured graphs: canonical numbering, keys, orbits, automorphism counts.

Nodes and edges have colours. Two graphs are isomorphic if some renumbering of the nodes maps the
colours and edges of one to those of the other; an automorphism is such a renumbering of a graph
onto itself. The method is individualisation and refinement with pruning by automorphisms (McKay and
Piperno 2014); the number of automorphisms is the product of the orbit sizes along the stabiliser
chain of the search. All results are exact, and the search is never truncated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gfncore.compiled_code import discard_stale_code
from gfncore.symmetry.batches_numba import MAX_NODES, analyse_batch, reorder_batch

__all__ = [
    "MAX_NODES",
    "ColouredGraphs",
    "Symmetry",
    "analyse",
    "canonical_graphs",
    "pair_orbits",
]

_PROBLEMS = {
    1: "a node without a colour (colours are 0 or more)",
    2: "an edge that ends outside the graph",
    3: "an edge from a node to itself",
    4: "an edge without a colour (colours are 0 or more)",
    5: "two edges between the same nodes",
}


@dataclass(frozen=True)
class ColouredGraphs:
    """A batch of simple undirected graphs of up to 64 nodes.

    Attributes
    ----------
    colours : ndarray, shape (B, N), int32
        Colours of the nodes, 0 or more; padding -1.
    n_nodes : ndarray, shape (B,), int32
        0 is allowed.
    edges : ndarray, shape (B, M, 3), int32
        Both ends, in any order, and the colour, 0 or more; padding -1.
    n_edges : ndarray, shape (B,), int32
    """

    colours: np.ndarray
    n_nodes: np.ndarray
    edges: np.ndarray
    n_edges: np.ndarray

    def __len__(self) -> int:
        return len(self.n_nodes)


@dataclass(frozen=True)
class Symmetry:
    """Result of `analyse` for a batch of graphs.

    Attributes
    ----------
    keys : ndarray, shape (B, 2), uint64
        Hash of the canonical form: equal for isomorphic graphs, and for others with a probability
        of about 2**-128.
    position : ndarray, shape (B, N), int32
        Canonical position of each node, a permutation of 0..n-1; padding -1.
    node_orbits : ndarray, shape (B, N), int32
        Smallest node of the orbit; padding -1.
    edge_orbits : ndarray, shape (B, M), int32
        Smallest row of the orbit of edges; padding -1.
    factors : ndarray, shape (B, N), int32
        Orbit sizes along the stabiliser chain; their product is the number of automorphisms.
        Padding 1.
    """

    keys: np.ndarray
    position: np.ndarray
    node_orbits: np.ndarray
    edge_orbits: np.ndarray
    factors: np.ndarray

    def log_automorphisms(self) -> np.ndarray:
        """Return logarithms of the numbers of automorphisms, float64 (B,)."""
        return np.log(self.factors).sum(axis=1)

    def automorphisms(self) -> list[int]:
        """Return the exact numbers of automorphisms, one per graph."""
        return [math.prod(row) for row in self.factors.tolist()]


def analyse(graphs: ColouredGraphs) -> Symmetry:
    """Compute canonical numbering, keys, orbits and automorphisms of a batch of graphs.

    Parameters
    ----------
    graphs : ColouredGraphs

    Returns
    -------
    Symmetry
        The result for a graph does not depend on the rest of the batch.

    Raises
    ------
    ValueError
        If a graph has more than 64 nodes, or is not a simple graph with non-negative colours.
    """
    return _analyse(graphs, np.empty((0, 0, 0), np.int32))


def pair_orbits(graphs: ColouredGraphs) -> np.ndarray:
    """Return orbits of unordered pairs of nodes under the automorphisms of each graph.

    Parameters
    ----------
    graphs : ColouredGraphs

    Returns
    -------
    ndarray, shape (B, N, N), int32
        For nodes u != v the smallest ``u * N + v``, u < v, of the orbit of {u, v}. Symmetric; -1 on
        the diagonal and in the padding.

    Raises
    ------
    ValueError
        As `analyse`.
    """
    n_graphs, width = graphs.colours.shape
    pairs = np.full((n_graphs, width, width), -1, np.int32)
    _analyse(graphs, pairs)
    return pairs


def canonical_graphs(graphs: ColouredGraphs, symmetry: Symmetry) -> ColouredGraphs:
    """Return graphs in canonical order: isomorphic graphs have equal arrays.

    Parameters
    ----------
    graphs : ColouredGraphs
    symmetry : Symmetry
        Of the same graphs.

    Returns
    -------
    ColouredGraphs
        Every node at its canonical position; edges u < v, sorted.
    """
    colours = np.full(graphs.colours.shape, -1, np.int32)
    edges = np.full(graphs.edges.shape, -1, np.int32)
    reorder_batch(*_arrays(graphs), symmetry.position, colours, edges)
    return ColouredGraphs(colours, graphs.n_nodes, edges, graphs.n_edges)


def _arrays(graphs: ColouredGraphs) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.ascontiguousarray(graphs.colours, np.int32),
        np.ascontiguousarray(graphs.n_nodes, np.int32),
        np.ascontiguousarray(graphs.edges, np.int32),
        np.ascontiguousarray(graphs.n_edges, np.int32),
    )


def _analyse(graphs: ColouredGraphs, pairs: np.ndarray) -> Symmetry:
    colours, n_nodes, edges, n_edges = _arrays(graphs)
    if len(n_nodes) and n_nodes.max() > min(MAX_NODES, colours.shape[1]):
        raise ValueError(
            f"a graph of {n_nodes.max()} nodes: room for {colours.shape[1]}, at most {MAX_NODES}"
        )
    if len(n_edges) and n_edges.max() > edges.shape[1]:
        raise ValueError(f"a graph of {n_edges.max()} edges: room for {edges.shape[1]}")
    symmetry = Symmetry(
        keys=np.zeros((len(n_nodes), 2), np.uint64),
        position=np.full(colours.shape, -1, np.int32),
        node_orbits=np.full(colours.shape, -1, np.int32),
        edge_orbits=np.full(edges.shape[:2], -1, np.int32),
        factors=np.ones(colours.shape, np.int32),
    )
    graph, problem = analyse_batch(
        colours, n_nodes, edges, n_edges, symmetry.keys, symmetry.position, symmetry.node_orbits,
        symmetry.edge_orbits, symmetry.factors, pairs,
    )  # fmt: skip
    if problem:
        raise ValueError(f"graph {graph} has {_PROBLEMS[problem]}")
    return symmetry


discard_stale_code(Path(__file__).parent)
