"""Logits of a policy for states that it reads as one-hot vectors, in few calls.

A state that is a graph of one node without edges makes the network a multilayer perceptron, whose
first layer is a sum of d of its columns. Drawing long trajectories evaluates it for a few states at
a time, so that building graphs, sparse matrices and modules' calls would cost more than arithmetic.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from gfncore.compiled_code import discard_stale_code
from gfncore.policies.policy import Policy

if TYPE_CHECKING:
    import numpy as np

    from gfncore.environment import OneHot

discard_stale_code(Path(__file__).parent)

from gfncore.policies.one_hot_numba import choose, distinct_rows, first_layer  # noqa: E402

__all__ = ["OneHotPolicy"]


class OneHotPolicy:
    """The logits of a policy, without gradient; `of` makes one where it is possible.

    Its parameters are those of the policy when it was made.

    Parameters
    ----------
    policy : Policy
    base : int
        Number of values that an entry of a vector can take.
    """

    def __init__(self, policy: Policy, base: int) -> None:
        backbone, head = policy.backbone, policy.heads[0]
        columns = backbone.inputs.weight.detach().T  # (d base, H)
        self._columns = columns.unflatten(0, (-1, base)).contiguous().numpy()
        self._shift = (backbone.inputs.bias + backbone.types.weight[0]).detach().numpy()
        self._rounds = [
            (_transposed(own), norm) for own, norm in zip(backbone.own, backbone.norms, strict=True)
        ]
        self._context = backbone.context
        self._first, self._last = _transposed(head.first), _transposed(head.last)
        self._temperature = policy.temperature

    @classmethod
    def of(cls, policy: object, base: int) -> OneHotPolicy | None:
        """Return the logits of `policy`, or None if they depend on more than the node.

        That is the case for temperatures of states, several heads, and defended policies; and on
        another device than the CPU the usual path is taken.
        """
        # a subclass may override what is read here
        if type(policy) is not Policy or policy.conditioning != "none" or policy.defence > 0.0:
            return None
        plain = len(policy.heads) == 1 and policy.heads[0].kind == "node"
        return cls(policy, base) if plain and policy.device.type == "cpu" else None

    def logits(self, values: np.ndarray) -> np.ndarray:
        """Return the logits of all actions, legal or not; float32 (B, A).

        Call it without gradient, e.g. in ``torch.inference_mode()``.

        Parameters
        ----------
        values : ndarray, shape (B, d), int64
            Entries from 0 to base - 1.
        """
        h = torch.from_numpy(first_layer(values, self._columns, self._shift))
        for (bias, weight), norm in self._rounds:
            h = h + norm(torch.addmm(bias, h, weight)).relu_()
        if self._context is not None:  # the mean over one node is the node
            h = h + self._context(h)
        bias, weight = self._first
        h = torch.addmm(bias, h, weight).relu_()
        bias, weight = self._last
        out = torch.addmm(bias, h, weight)
        return (out if self._temperature == 1.0 else out / self._temperature).numpy()

    def choose(
        self, seen: OneHot, uniform: np.ndarray, epsilon: float = 0.0, temperature: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw an action for each state, and evaluate each distinct state once.

        Parameters
        ----------
        seen : OneHot
            m states that are not terminal.
        uniform : ndarray, shape (m,), float64
            Uniform random numbers in [0, 1).
        epsilon, temperature : float
            Exploration, see `gfncore.exploration.sample_trajectories`.

        Returns
        -------
        action : ndarray, shape (m,), int64
        log_p : ndarray, shape (m,), float64
            Of these actions, without exploration.
        """
        first, row = distinct_rows(seen.values)
        logits = self.logits(seen.values[first])
        return choose(logits, seen.legal[first], row, uniform, epsilon, temperature)


def _transposed(layer: torch.Tensor | nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Bias and weight (in, out): products with few rows are faster by this layout."""
    assert isinstance(layer, nn.Linear)
    return layer.bias.detach(), layer.weight.detach().T.contiguous()
