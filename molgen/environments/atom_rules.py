"""What an atom environment allows: limits, colours, and the core that all states hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molgen.molecules.graph import AtomTable
from molgen.molecules.rdkit_bridge import Graph

__all__ = ["GraphArrays", "Rules", "bond_orders", "used_valences"]

GraphArrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Rules:
    """What an atom environment allows, as its kernels read it.

    Colours are the kinds of the table, then one for each different (kind, largest sum of bond
    orders) among the core's atoms, so that core atoms stay apart from others.

    Attributes
    ----------
    limits : ndarray, shape(5,), dtype=int64
        See `molgen.kernels.atoms_numba`.
    kind, cap, valence : ndarray, dtype=int64
        By colour: kind, largest sum of bond orders, valence.
    core : ndarray, dtype=bool
        By colour: an atom of the core.
    allowed : ndarray, dtype=bool
        By ring size; empty: any ring.
    max_edges : int
        Room for bonds.
    start_colour, start_bonds : ndarray
        The state that all start from, in the core's numbering.
    """

    limits: np.ndarray
    kind: np.ndarray
    cap: np.ndarray
    valence: np.ndarray
    core: np.ndarray
    allowed: np.ndarray
    max_edges: int
    start_colour: np.ndarray
    start_bonds: np.ndarray

    @classmethod
    def of(
        cls,
        table: AtomTable,
        max_atoms: int,
        ring_sizes: Sequence[int] | None,
        max_rings: int,
        strained: bool,
        core: Graph | None,
        growth: np.ndarray,
    ) -> Rules:
        """The arrays for these settings; `growth` as from `core_of_smiles`."""
        kinds, bonds = core or (np.zeros(0, np.int16), np.zeros((0, 3), np.int16))
        sums = growth + used_valences(len(kinds), bonds)
        classes = sorted(set(zip(kinds.tolist(), sums.tolist(), strict=True)))
        colour = [
            len(table) + classes.index(pair)
            for pair in zip(kinds.tolist(), sums.tolist(), strict=True)
        ]
        kind = np.array([*range(len(table)), *[k for k, _ in classes]], np.int64)
        allowed = np.zeros(0, bool)
        if ring_sizes is not None:
            allowed = np.isin(np.arange(max_atoms + 2), ring_sizes)
        largest = max_atoms * int(table.valences.max()) // 2
        room = min(max_atoms * (max_atoms - 1) // 2, largest, max_atoms - 1 + max_rings)
        return cls(
            np.array([len(table), max_atoms, table.max_bond_order, max_rings, int(strained)]),
            kind,
            np.array([*table.valences.tolist(), *[c for _, c in classes]], np.int64),
            table.valences[kind],
            np.arange(len(kind)) >= len(table),
            allowed,
            max(room, len(bonds), 1),
            np.array(colour, np.int16),
            bonds,
        )

    @property
    def max_atoms(self) -> int:
        """Most atoms of a state."""
        return int(self.limits[1])

    def graphs(
        self, colours: Sequence[np.ndarray], bonds: Sequence[np.ndarray], stage: int
    ) -> GraphArrays:
        """Padded arrays of graphs in any numbering, as `canonical_states` takes them."""
        b = len(colours)
        colour = np.full((b, self.max_atoms), -1, np.int16)
        edges = np.full((b, self.max_edges, 3), -1, np.int16)
        for i, (own, rows) in enumerate(zip(colours, bonds, strict=True)):
            colour[i, : len(own)] = own
            edges[i, : len(rows)] = rows
        return (
            colour,
            np.array([len(own) for own in colours], np.int16),
            edges,
            np.array([len(rows) for rows in bonds], np.int16),
            np.full(b, stage, np.int8),
            np.full(b, -1, np.int16),
        )


def bond_orders(n: int, bonds: np.ndarray) -> np.ndarray:
    """Bond orders as a matrix (n, n)."""
    orders = np.zeros((n, n), np.int64)
    orders[bonds[:, 0], bonds[:, 1]] = bonds[:, 2]
    return orders + orders.T


def used_valences(n: int, bonds: np.ndarray) -> np.ndarray:
    """Sum of the bond orders at each atom."""
    return bond_orders(n, bonds).sum(axis=1)
