"""The contract between a run and an environment of molecules."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Self

import numpy as np

from gfncore.environment import Environment
from gfncore.policies import HeadSpec
from gfncore.program.messages import Note
from molgen.molecules.graph import GraphStates

__all__ = ["MoleculeEnvironment"]


class MoleculeEnvironment(Environment):
    """Builds molecules as graphs, and names them.

    Attributes
    ----------
    symmetry : {"merged", "reward_scaling", "flow_scaling", "none"}
        How actions are counted: by orbit; or raw, with |Aut| in the reward, in the flows (see
        `Environment.log_scale`), or left out, which samples a wrong distribution.
    node_features, graph_types, relations : int
        Widths of what a policy reads; see `gfncore.policies.Backbone`.
    heads : tuple of HeadSpec
        Of a policy, one for each kind of action.
    backward_heads : tuple of HeadSpec
        Of a backward policy, likewise; it reads `Environment.backward_graph`.
    notes : tuple of Note
        What the user should know of the core and the fragments as they were read.
    figures_of_merit : callable, optional
        Figures of merit of finished states, float64 (B, K); None: there are none beside log R.
    """

    symmetry: str
    node_features: int
    graph_types: int
    relations: int
    heads: tuple[HeadSpec, ...]
    backward_heads: tuple[HeadSpec, ...]
    notes: tuple[Note, ...]
    figures_of_merit: Callable[[GraphStates], np.ndarray] | None = None

    @property
    def has_objectives(self) -> bool:
        """Whether there are `figures_of_merit`."""
        return self.figures_of_merit is not None

    def objectives(self, states: GraphStates) -> np.ndarray:
        """Return `figures_of_merit` of finished states; float64 (B, K)."""
        if self.figures_of_merit is None:
            return super().objectives(states)
        return self.figures_of_merit(states)

    @abstractmethod
    def with_symmetry(self, symmetry: str) -> Self:
        """Return the same environment in another regime: same states, same graphs, same caches."""

    @abstractmethod
    def smiles(self, states: GraphStates) -> list[str]:
        """Return canonical SMILES of building or finished states."""

    @abstractmethod
    def multiplicity(self, states: GraphStates) -> np.ndarray:
        """Return the number of finished states that are the same molecule; int64 (B,)."""

    @abstractmethod
    def same_molecule(self, states: GraphStates) -> tuple[np.ndarray, GraphStates]:
        """Return all finished states of each state's molecule; molecules must differ.

        Parameters
        ----------
        states : GraphStates
            B of them, finished.

        Returns
        -------
        molecule : ndarray, shape(C,), dtype=int64
            The row of `states` that each is the same molecule as; ascending.
        found : GraphStates
            C of them.
        """

    @abstractmethod
    def states_of_smiles(self, smiles: str) -> GraphStates:
        """Return all finished states of one molecule; none if it cannot be built."""
