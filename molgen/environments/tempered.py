"""Molecules at a reward exponent, for a sampler that was trained for a range of them.

The engine tempers a reward by beta (`gfncore.tempering`). Here the reward of the environment inside
is score^r, with r in the middle of the range, so that an exponent e is beta = e / r.
"""

from __future__ import annotations

import numpy as np

from gfncore.tempering import TemperedEnvironment, TemperedStates
from molgen.environments.base import MoleculeEnvironment

__all__ = ["TemperedMolecules"]


class TemperedMolecules(TemperedEnvironment):
    """An environment of molecules with the reward R^beta, which names its molecules.

    Parameters
    ----------
    molecules : MoleculeEnvironment
        The environment inside.
    inverse_temperature : float
        beta.
    """

    def __init__(self, molecules: MoleculeEnvironment, inverse_temperature: float) -> None:
        super().__init__(molecules, inverse_temperature)
        self._molecules = molecules

    def smiles(self, states: TemperedStates) -> list[str]:
        """Return canonical SMILES of building or finished states."""
        return self._molecules.smiles(states.inner)

    def multiplicity(self, states: TemperedStates) -> np.ndarray:
        """Return the number of finished states that are the same molecule; int64 (B,)."""
        return self._molecules.multiplicity(states.inner)

    def same_molecule(self, states: TemperedStates) -> tuple[np.ndarray, TemperedStates]:
        """Return all finished states of each state's molecule, at its temperature.

        Parameters
        ----------
        states : TemperedStates
            B of them, finished, of different molecules.

        Returns
        -------
        molecule : ndarray, shape (C,), int64
            The row of `states` that each is the same molecule as; ascending.
        found : TemperedStates
            C of them.
        """
        molecule, found = self._molecules.same_molecule(states.inner)
        return molecule, TemperedStates(found, states.inverse_temperature[molecule])
