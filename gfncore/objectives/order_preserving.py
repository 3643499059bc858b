"""Order-preserving objectives (Chen & Mauch 2024, arXiv:2310.00386).

Together with its P_B, a policy implies a reward for the object of each trajectory, up to the
constant Z:

    log R'(tau) = (sum log P_F - sum log P_B) / T

with a temperature T, which is 1 in the paper. Training makes R' reproduce only the order of the
figures of merit u; their scale does not matter, and there is no exponent to tune. Hence there is no
known target distribution: the policy becomes sharper as long as training continues. The sharper it
is, the more its draws are restricted to the same few objects, and the less is learned about the
order of the others. With T < 1 smaller differences of log P_F represent the same order, so that
more of it is learned before this happens, and the draws remain more diverse.

One figure of merit: for each pair i, j of the batch, the cross-entropy between the softmax of (log
R'_i, log R'_j) and (1, 0), (1/2, 1/2) or (0, 1), depending on whether u_i is above, equal to or
below u_j; the loss is the mean over pairs.

Several: the cross-entropy between the softmax of log R' over the batch and the uniform distribution
on its non-dominated members. A member of the front of one batch may be dominated in another. With a
memory, each object gets the number of its front among the objects of this and the last batches
together, and pairs are trained on these numbers.
"""

from __future__ import annotations

import math
from typing import Self

import numpy as np
import torch
from torch import nn

from gfncore.evaluation.pareto import front_numbers, non_dominated
from gfncore.objectives.base import Objective, ObjectiveOptions
from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["OrderPreserving", "pairwise_order_loss", "pareto_order_loss"]


def pairwise_order_loss(log_learned: torch.Tensor, merit: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of the order of pairs.

    Parameters
    ----------
    log_learned : Tensor, shape (n,), float64
        log R', up to a constant; n >= 2.
    merit : Tensor, shape (n,)
        u, larger is better; -inf allowed.

    Returns
    -------
    Tensor, float64 scalar
        In nats; log 2 for an untrained policy, and at least log 2 times the share of equal pairs.
    """
    n = len(merit)
    first, second = torch.triu_indices(n, n, offset=1, device=merit.device)
    gap = log_learned.index_select(0, first) - log_learned.index_select(0, second)
    u, v = merit[first], merit[second]
    second_share = torch.where(u > v, 0.0, torch.where(u == v, 0.5, 1.0))
    return (nn.functional.softplus(-gap) + second_share * gap).mean()


def pareto_order_loss(log_learned: torch.Tensor, front: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of the batch with the uniform distribution on its front.

    Parameters
    ----------
    log_learned : Tensor, shape (n,), float64
        log R', up to a constant.
    front : Tensor, shape (n,), bool
        The non-dominated members.

    Returns
    -------
    Tensor, float64 scalar
        In nats; at least the logarithm of the number of members of the front.
    """
    return -torch.log_softmax(log_learned, dim=0)[front].mean()


class OrderPreserving(Objective):
    """Order-preserving loss on ``batch.objectives``: pairwise, or by fronts if there are several.

    Parameters
    ----------
    memory : int
        Maximum number of objects of earlier batches used for numbering fronts; 0: only the front of
        the batch is used. No effect with one objective.
    temperature : float
        T > 0.

    Raises
    ------
    ValueError
        If `temperature` is not a positive number.
    """

    needs_objectives = True

    def __init__(self, memory: int = 0, temperature: float = 1.0) -> None:
        super().__init__()
        if not 0.0 < temperature < math.inf:
            raise ValueError(f"temperature is {temperature}, but must be a positive number")
        self.memory = memory
        self.temperature = temperature
        self._remembered = np.zeros((0, 0))

    @classmethod
    def from_options(cls, options: ObjectiveOptions) -> Self:
        """Return one with the temperature of the order."""
        return cls(temperature=options.order_temperature)

    def forward(self, batch: ScoredTrajectories) -> torch.Tensor:
        """Return the loss, float64 scalar."""
        if batch.condition is not None:
            raise ValueError("an order has no temperature, but the trajectories have: take `inner`")
        log_learned = (batch.log_pf - batch.log_pb).sum(dim=1) / self.temperature
        if batch.objectives is None:
            raise ValueError("an order-preserving objective was given a batch without objectives")
        if batch.objectives.shape[1] == 1:
            return pairwise_order_loss(log_learned, batch.objectives[:, 0])
        merits = batch.objectives.detach().cpu().numpy()
        if self.memory == 0:
            front = torch.from_numpy(non_dominated(merits)).to(log_learned.device)
            return pareto_order_loss(log_learned, front)
        merit = torch.from_numpy(-self._numbered(merits)).to(log_learned.device)
        return pairwise_order_loss(log_learned, merit)

    def _numbered(self, merits: np.ndarray) -> np.ndarray:
        """Return the front number of each row among batch and memory, and add the batch to it."""
        known = self._remembered if len(self._remembered) else merits[:0]
        together = np.concatenate([merits, known])
        distinct, first = np.unique(together, axis=0, return_index=True)
        self._remembered = distinct[np.argsort(first)][: self.memory]  # the latest come first
        return front_numbers(together)[: len(merits)]

    def get_extra_state(self) -> torch.Tensor:
        """Return the memory, for checkpoints; float64 (m, K)."""
        return torch.from_numpy(self._remembered.copy())

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Put a memory back."""
        self._remembered = state.numpy().copy()
