"""Learned energy decomposition, LED (Jang, Kim & Ahn 2024, arXiv:2310.03301).

A second network gives each step an energy phi(s -> s') such that the energies of a trajectory add
up to E(x) = -log R(x), spread evenly over its n steps:

    decomposition = mean over trajectories of  (E(x)/n - mean phi)^2 + (1 - k)/(k n) variance of phi

the expectation, to first order, of the squared error of the mean over steps that are kept with
probability k; the authors draw which. The flow F(s) = F~(s) exp(-sum of phi so far) is balanced
step by step, with these energies held fixed:

    d = log F~(s) + log P_F(s'|s) + phi(s -> s') - log F~(s') - log P_B(s|s'),   F~(x) = 1
    loss = mean over steps of d^2 + decomposition

As in forward-looking balance, each step has its share of the reward, but no energies of unfinished
objects are needed. The target is exp(-sum of phi): R only as far as energies add up to E on every
trajectory, which k < 1 prevents where E is no even sum. For long trajectories whose reward is
roughly a sum over parts.
"""

from __future__ import annotations

import torch
from torch import nn

from gfncore.objectives.flows import FlowObjective
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["LearnedEnergyDecomposition"]


class LearnedEnergyDecomposition(FlowObjective):
    """Detailed balance with learned energies of steps; `log_z` is where log F_0 starts.

    Needs a policy with ``flow=True``, and ``Trainer(..., step_energies=...)``.

    Parameters
    ----------
    log_z : float
    kept : float
        k, 0 < k <= 1: the smaller, the more evenly energies are spread, and the further their sums
        are from E. With 1 only the sums count.
    loss_shape : str
        Replaces the square of d, see `gfncore.objectives.shapes`.
    conditional : bool
        Whether batches have temperatures.

    Raises
    ------
    ValueError
        If `kept` is out of range.
    """

    title = "learned energy decomposition"
    needs_step_energies = True
    takes_scales = False

    def __init__(
        self,
        log_z: float = 0.0,
        kept: float = 1.0,
        loss_shape: str = "square",
        conditional: bool = False,
    ) -> None:
        super().__init__(log_z, loss_shape, conditional)
        if not 0.0 < kept <= 1.0:
            raise ValueError(f"the share of steps that are kept is {kept}, but must be in (0, 1]")
        self.spread = (1.0 - kept) / kept

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""
        log_flow = self.log_flow(batch)
        energy = batch.step_energy
        if energy is None or batch.flow is None:
            raise ValueError("learned energy decomposition was given a batch without step energies")
        lengths = batch.flow.lengths
        step = torch.arange(log_flow.shape[1], device=log_flow.device)
        after = nn.functional.pad(log_flow[:, 1:], (0, 1))
        after = torch.where(step == lengths[:, None] - 1, 0.0, after)
        residual = log_flow + batch.log_pf + energy.detach() - after - batch.log_pb
        taken = step < lengths[:, None]
        balance = self.shape(residual[taken]).mean()
        mean = energy.sum(dim=1) / lengths
        off = torch.where(taken, energy - mean[:, None], 0.0)
        variance = off.square().sum(dim=1) / lengths
        missed = (batch.log_reward / lengths + mean).square()
        return balance + (missed + self.spread / lengths * variance).mean()
