"""Decompositions of a molecule into fragments, so that each molecule is counted once.

A molecule represented by m different (non-isomorphic) fragment graphs would be drawn m times too
often. The covers of its atoms by fragments are enumerated; covers that an automorphism of the
molecule maps to each other are the same fragment graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gfncore.keys import unique_keys
from molgen.fragments.vocabulary import Vocabulary
from molgen.kernels.covers_numba import covers_of_molecules
from molgen.kernels.fragments_numba import JOIN
from molgen.molecules.graph import FINISHED, GraphStates, canonical_states, state_keys

__all__ = ["Covers"]


@dataclass(frozen=True)
class Covers:
    """Tables of a vocabulary for the search of covers.

    Attributes
    ----------
    vocabulary : Vocabulary
    has_core : bool
        Exactly one piece must be the vocabulary's last fragment.
    max_fragments : int
        Pieces that there may be.
    must_join : ndarray, shape (O,), int64
    needed_start, needed, walk, walk_parent, square_start, squares : ndarray
        See `molgen.kernels.covers_numba.covers_of_molecules`.
    """

    vocabulary: Vocabulary
    has_core: bool
    max_fragments: int
    must_join: np.ndarray
    needed_start: np.ndarray
    needed: np.ndarray
    walk: np.ndarray
    walk_parent: np.ndarray
    square_start: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(
        cls, vocabulary: Vocabulary, has_core: bool, max_fragments: int, must_join: np.ndarray
    ) -> Covers:
        """Return the tables for a vocabulary."""
        kind_of_atom = vocabulary.orbit_kind[vocabulary.atom_orbit]
        frequency = np.bincount(kind_of_atom, minlength=len(vocabulary.kinds))
        needed, walks, parents, squares = [], [], [], []
        for f, size in enumerate(vocabulary.sizes):
            atoms = slice(vocabulary.first_atom[f], vocabulary.first_atom[f + 1])
            bonds = vocabulary.bonds[vocabulary.first_bond[f] : vocabulary.first_bond[f + 1]]
            square = np.zeros((size, size), np.int16)
            square[bonds[:, 0], bonds[:, 1]] = square[bonds[:, 1], bonds[:, 0]] = bonds[:, 2]
            kinds, counts = np.unique(kind_of_atom[atoms], return_counts=True)
            needed.append(np.column_stack([kinds, counts]))
            # starts from the atom of the rarest kind, so that most searches end immediately
            walk, parent = _walk(square, int(np.argmin(frequency[kind_of_atom[atoms]])))
            walks.append(walk)
            parents.append(parent)
            squares.append(square.ravel())
        return cls(
            vocabulary,
            has_core,
            max_fragments,
            must_join,
            np.cumsum([0, *[len(n) for n in needed]]).astype(np.int32),
            np.concatenate(needed).astype(np.int32),
            np.concatenate(walks),
            np.concatenate(parents),
            np.cumsum([0, *[len(s) for s in squares]]).astype(np.int32),
            np.concatenate(squares),
        )

    def states(
        self, kinds: np.ndarray, n_nodes: np.ndarray, edges: np.ndarray, n_edges: np.ndarray
    ) -> tuple[np.ndarray, GraphStates]:
        """Return all distinct finished states of each molecule.

        Parameters
        ----------
        kinds : ndarray, shape (B, N), int32
            Kinds of atom, numbered as in the vocabulary.
        n_nodes, n_edges : ndarray, shape (B,), int16
        edges : ndarray, shape (B, M, 3), int16
            u, v, order.

        Returns
        -------
        molecule : ndarray, shape (C,), int64
            Ascending.
        states : GraphStates
            C of them.
        """
        molecule, colour, piece = self._find(kinds, n_nodes, edges, n_edges)
        states = _states(molecule, colour, piece, n_nodes, edges, n_edges)
        keys = state_keys(states)
        # one cover of each molecule and key; molecules differ, so do their keys
        first = np.sort(unique_keys(keys)[0])
        return molecule[first], states.take(first)

    def multiplicity(
        self, kinds: np.ndarray, n_nodes: np.ndarray, edges: np.ndarray, n_edges: np.ndarray
    ) -> np.ndarray:
        """Number of finished states of each molecule; int64 (B,). Parameters as in `states`."""
        molecule, colour, piece = self._find(kinds, n_nodes, edges, n_edges)
        found = np.bincount(molecule, minlength=len(n_nodes))
        several = np.flatnonzero(found[molecule] > 1)  # one cover is one state
        if len(several):
            owner = molecule[several]
            states = _states(owner, colour[several], piece[several], n_nodes, edges, n_edges)
            pairs = np.column_stack([state_keys(states), owner.astype(np.uint64)])
            distinct = np.unique(pairs, axis=0)[:, 2].astype(np.int64)
            found = np.where(found > 1, np.bincount(distinct, minlength=len(n_nodes)), found)
        return found

    def _find(
        self, kinds: np.ndarray, n_nodes: np.ndarray, edges: np.ndarray, n_edges: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        v = self.vocabulary
        return covers_of_molecules(
            kinds, n_nodes, edges, n_edges, self.needed_start, self.needed, v.first_atom,
            self.walk, self.walk_parent, self.square_start, self.squares, v.atom_orbit,
            v.orbit_kind, v.orbit_open, v.orbit_degree, self.must_join, v.orbit_class,
            v.joins_allowed, self.has_core, self.max_fragments,
        )  # fmt: skip


def _walk(square: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the atoms of a connected graph from `start`, and an earlier bonded atom of each."""
    walk, parent = [start], [-1]
    for place, u in enumerate(walk):  # grows as it goes
        for v in np.flatnonzero(square[u]):
            if v not in walk:
                walk.append(int(v))
                parent.append(place)
    return np.array(walk, np.int16), np.array(parent, np.int16)


def _states(
    molecule: np.ndarray,
    colour: np.ndarray,
    piece: np.ndarray,
    n_nodes: np.ndarray,
    edges: np.ndarray,
    n_edges: np.ndarray,
) -> GraphStates:
    """Return covers as finished states, in canonical numbering."""
    edges = edges[molecule].copy()
    rows = np.arange(len(molecule))[:, None]
    joins = (edges[:, :, 2] >= 0) & (piece[rows, edges[:, :, 0]] != piece[rows, edges[:, :, 1]])
    edges[:, :, 2] += (JOIN * joins).astype(np.int16)
    stage = np.full(len(molecule), FINISHED, np.int8)
    mark = np.full(len(molecule), -1, np.int16)
    return canonical_states(colour, n_nodes[molecule], edges, n_edges[molecule], stage, mark)[0]
