"""Molecular graphs as integer arrays in batches, always in canonical numbering.

Two states have equal arrays if and only if they are isomorphic, so that an action code means the
same wherever a state turns up, and the hash of the arrays is a canonical key.

Glossary: B states in a batch, N nodes and M edges that there is room for, T kinds of atom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from gfncore.errors import UserError
from gfncore.symmetry import graphs as symmetry
from molgen.kernels import graph_numba as kernels

__all__ = [
    "FINISHED",
    "MARKED",
    "AtomTable",
    "GraphStates",
    "canonical_states",
    "state_keys",
    "unmarked",
]

MARKED, FINISHED = 1, 2  # values of `GraphStates.stage`; 0 is a graph that is being built

# name: atomic number, formal charge, valence with all hydrogens counted
KNOWN_ATOMS = {
    "B": (5, 0, 3),
    "C": (6, 0, 4),
    "N": (7, 0, 3),
    "O": (8, 0, 2),
    "F": (9, 0, 1),
    "Si": (14, 0, 4),
    "P": (15, 0, 3),
    "S": (16, 0, 2),
    "Cl": (17, 0, 1),
    "Br": (35, 0, 1),
    "I": (53, 0, 1),
    "N+": (7, 1, 4),
    "O-": (8, -1, 1),
    "P5": (15, 0, 5),
    "S4": (16, 0, 4),
    "S6": (16, 0, 6),
}


@dataclass(frozen=True)
class AtomTable:
    """The kinds of atom that graphs are made of.

    Attributes
    ----------
    symbols : tuple of str, length T
        E.g. "C", "N+", "S6"; the place is the kind's number.
    atomic_numbers, charges, valences : ndarray, shape (T,), int64
        The valence is the sum of the orders of all bonds, those to hydrogen counted. Atomic
        number 0: an abstract node that no molecule has.
    max_bond_order : int
        1 to 3.
    """

    symbols: tuple[str, ...]
    atomic_numbers: np.ndarray
    charges: np.ndarray
    valences: np.ndarray
    max_bond_order: int = 3

    def __len__(self) -> int:
        return len(self.symbols)

    @classmethod
    def of(cls, names: Sequence[str], max_bond_order: int = 3) -> AtomTable:
        """Return the table of named kinds: an element, with its charge ("N+") or valence ("S6").

        Raises
        ------
        UserError
            If a name is unknown or comes twice, or there is none.
        """
        if not names:
            raise UserError("elements: none is given; name at least one, e.g. C N O")
        for place, name in enumerate(names):
            if name not in KNOWN_ATOMS:
                known = " ".join(KNOWN_ATOMS)
                raise UserError(f"elements: {name!r} is not known; choose among {known}")
            if name in names[:place]:
                raise UserError(f"elements: {name!r} is given twice; name each once")
        numbers = np.array([KNOWN_ATOMS[name] for name in names], np.int64)
        return cls(tuple(names), numbers[:, 0], numbers[:, 1], numbers[:, 2], max_bond_order)

    @classmethod
    def plain(cls, n_types: int, valence: int) -> AtomTable:
        """Return abstract nodes with at most `valence` neighbours, for benchmarks."""
        zeros = np.zeros(n_types, np.int64)
        names = tuple(f"node{i}" for i in range(n_types))
        return cls(names, zeros, zeros, zeros + valence, max_bond_order=1)

    @property
    def is_plain(self) -> bool:
        """Whether its graphs are abstract instead of molecules."""
        return bool((self.atomic_numbers == 0).any())


@dataclass(frozen=True)
class GraphStates:
    """A batch of coloured graphs, each in its canonical numbering; padding is -1.

    Attributes
    ----------
    colour : ndarray, shape (B, N), int16 or int32
        Colour of each node; its meaning and its type are the environment's.
    n_nodes, n_edges : ndarray, shape (B,), int16
    edges : ndarray, shape (B, M, 3), int16
        u < v and the edge's colour, in lexicographic order.
    node_orbit : ndarray, shape (B, N), int16
        Smallest node of the orbit under the automorphisms of the coloured, marked graph.
    edge_orbit : ndarray, shape (B, M), int16
        Smallest row of the orbit.
    log_aut : ndarray, shape (B,), float64
        log of the number of automorphisms, nats.
    stage : ndarray, shape (B,), int8
        0 building, MARKED, or FINISHED (terminal).
    mark : ndarray, shape (B,), int16
        The marked node, or -1.
    """

    colour: np.ndarray
    n_nodes: np.ndarray
    edges: np.ndarray
    n_edges: np.ndarray
    node_orbit: np.ndarray
    edge_orbit: np.ndarray
    log_aut: np.ndarray
    stage: np.ndarray
    mark: np.ndarray

    def __len__(self) -> int:
        return len(self.n_nodes)

    def take(self, index: np.ndarray) -> GraphStates:
        """Return the given rows as a new batch."""
        return GraphStates(*[getattr(self, f.name)[index] for f in fields(self)])

    @staticmethod
    def concat(parts: Sequence[GraphStates]) -> GraphStates:
        """Concatenate several batches of equal widths into one."""
        names = [f.name for f in fields(GraphStates)]
        return GraphStates(*[np.concatenate([getattr(p, name) for p in parts]) for name in names])


def canonical_states(
    colour: np.ndarray,
    n_nodes: np.ndarray,
    edges: np.ndarray,
    n_edges: np.ndarray,
    stage: np.ndarray,
    mark: np.ndarray,
    node_colour_for_symmetry: np.ndarray | None = None,
) -> tuple[GraphStates, np.ndarray]:
    """Return graphs in canonical numbering, with orbits and automorphisms.

    Parameters
    ----------
    colour, n_nodes, edges, n_edges, stage, mark : ndarray
        As in `GraphStates`, but with nodes, edges, and u, v in any order.
    node_colour_for_symmetry : ndarray, shape (B, N), int, optional
        A refinement of `colour`. Default: `colour`.

    Returns
    -------
    states : GraphStates
    position : ndarray, shape (B, N), int32
        Position in `states` of each given node; padding -1.
    """
    seen = colour if node_colour_for_symmetry is None else node_colour_for_symmetry
    # doubled in every batch: the numbering of a graph must not depend on the rest of the batch
    seen = np.where(seen >= 0, 2 * seen.astype(np.int32), -1).astype(np.int32)
    marked = np.flatnonzero(mark >= 0)
    seen[marked, mark[marked]] += 1
    found = symmetry.analyse(
        symmetry.ColouredGraphs(
            seen, n_nodes.astype(np.int32), edges.astype(np.int32), n_edges.astype(np.int32)
        )
    )
    new_colour, new_edges, node_orbit, edge_orbit = kernels.renumber(
        colour,
        n_nodes,
        edges.astype(np.int16, copy=False),
        n_edges,
        found.position,
        found.node_orbits,
        found.edge_orbits,
    )
    new_mark = np.full(len(n_nodes), -1, np.int16)
    new_mark[marked] = found.position[marked, mark[marked]]
    states = GraphStates(
        new_colour,
        n_nodes.astype(np.int16, copy=False),
        new_edges,
        n_edges.astype(np.int16, copy=False),
        node_orbit,
        edge_orbit,
        found.log_automorphisms(),
        stage.astype(np.int8, copy=False),
        new_mark,
    )
    return states, found.position


def state_keys(states: GraphStates) -> np.ndarray:
    """Return canonical keys, equal only for isomorphic states of the same stage; uint64 (B, 2)."""
    return kernels.hash_states(
        states.colour, states.n_nodes, states.edges, states.n_edges, states.stage, states.mark
    )


def unmarked(states: GraphStates) -> GraphStates:
    """Return the same states, neither marked nor finished."""
    return replace(states, stage=np.zeros_like(states.stage), mark=np.full_like(states.mark, -1))
