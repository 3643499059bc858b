"""Which molecule a fragment graph is, and which fragment graphs are the same molecule."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np

from gfncore.keys import key_bytes, unique_keys
from molgen.fragments.covers import Covers
from molgen.fragments.reading import canonical_smiles
from molgen.fragments.vocabulary import Vocabulary
from molgen.kernels.fragments_numba import JOIN
from molgen.kernels.smiles_numba import write_smiles
from molgen.molecules.graph import GraphStates, state_keys, unmarked

__all__ = ["FragmentMolecules"]

REMEMBERED = 200_000  # molecules whose SMILES and multiplicity are kept
SMILES_CHUNK = 64  # strings that one task of an executor makes canonical


class FragmentMolecules:
    """SMILES and multiplicity of states, remembered by their keys.

    Parameters
    ----------
    vocabulary : Vocabulary
    has_core : bool
        Its last fragment is the core.
    max_fragments : int
    must_join : ndarray, shape (O,), int64
        1 for the orbits whose attachment points may not stay open, else 0.
    """

    def __init__(
        self, vocabulary: Vocabulary, has_core: bool, max_fragments: int, must_join: np.ndarray
    ) -> None:
        self.vocabulary = vocabulary
        self.covers = Covers.of(vocabulary, has_core, max_fragments, must_join)
        self.aromatic = vocabulary.kinds[vocabulary.orbit_kind, 2] > 0
        self.known: dict[bytes, tuple[str, int]] = {}

    def facts(
        self, states: GraphStates, executor: Executor | None = None
    ) -> tuple[list[str], np.ndarray]:
        """Canonical SMILES and multiplicity, int64 (B,), of states of any stage.

        Parameters
        ----------
        states : GraphStates
        executor : Executor, optional
            Makes SMILES canonical, in chunks.
        """
        plain = unmarked(states)
        first, inverse = unique_keys(state_keys(plain))
        names = key_bytes(state_keys(plain.take(first)))
        if len(self.known) > REMEMBERED:
            self.known.clear()
        rows = np.array([i for i, name in enumerate(names) if name not in self.known], np.int64)
        if len(rows):
            new = plain.take(first[rows])
            text = self._canonical(new, executor)
            counts = self._count(new).tolist()
            self.known.update(
                zip((names[i] for i in rows), zip(text, counts, strict=True), strict=True)
            )
        known = [self.known[name] for name in names]
        multiplicity = np.array([count for _, count in known], np.int64)
        return [known[i][0] for i in inverse], multiplicity[inverse]

    def _canonical(self, states: GraphStates, executor: Executor | None) -> list[str]:
        v = self.vocabulary
        text, ends = write_smiles(
            states.colour, states.n_nodes, states.edges, states.n_edges, v.orbit_open, v.tokens,
            self.aromatic,
        )  # fmt: skip
        whole = text.tobytes().decode("ascii")
        starts = [0, *ends.tolist()[:-1]]
        plain = [whole[a:b] for a, b in zip(starts, ends.tolist(), strict=True)]
        if executor is None:
            return canonical_smiles(plain)
        chunks = [plain[i : i + SMILES_CHUNK] for i in range(0, len(plain), SMILES_CHUNK)]
        return [s for chunk in executor.map(canonical_smiles, chunks) for s in chunk]

    def _atoms(self, states: GraphStates) -> tuple[np.ndarray, ...]:
        """Kinds of atoms and bonds, as `Covers` takes them: without what is of fragments."""
        kinds = np.where(states.colour >= 0, self.vocabulary.orbit_kind[states.colour], -1)
        edges = states.edges.copy()
        edges[:, :, 2] = np.where(edges[:, :, 2] >= 0, edges[:, :, 2] % JOIN, -1)
        return kinds.astype(np.int32), states.n_nodes, edges, states.n_edges

    def _count(self, states: GraphStates) -> np.ndarray:
        found = self.covers.multiplicity(*self._atoms(states))
        return np.maximum(found, 1)  # the empty state has no cover

    def same_molecule(self, states: GraphStates) -> tuple[np.ndarray, GraphStates]:
        """The rows of states, and all finished states of their molecules, which must differ."""
        return self.covers.states(*self._atoms(states))

    def states_of_smiles(self, smiles: str, table: GraphStates) -> GraphStates:
        """All finished states of one molecule, in arrays as wide as those of `table`."""
        read = self.vocabulary.graph_of_smiles(smiles)
        if read is None:
            return table.take(np.zeros(0, np.int64))
        kinds, bonds = read
        if len(kinds) > table.colour.shape[1] or len(bonds) > table.edges.shape[1]:
            return table.take(np.zeros(0, np.int64))
        all_kinds = np.full((1, table.colour.shape[1]), -1, np.int32)
        edges = np.full((1, *table.edges.shape[1:]), -1, np.int16)
        all_kinds[0, : len(kinds)], edges[0, : len(bonds)] = kinds, bonds
        sizes = np.array([len(kinds)], np.int16), np.array([len(bonds)], np.int16)
        return self.covers.states(all_kinds, sizes[0], edges, sizes[1])[1]
