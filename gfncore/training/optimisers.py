"""Muon: steps of equal size in all directions of a weight matrix.

For each matrix of weights W with gradient G (Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon):

    M <- mu M + (1 - mu) G
    W <- W - lr s sqrt(max(1, rows / columns)) orth((1 - mu) G + mu M)

orth(X) = U V^T for X = U S V^T, by five steps of a Newton-Schulz iteration, which brings all
singular values near one. What a graph network has to tell apart in rare molecules moves its
weights in directions of small singular values, which Adam follows slowly. Everything that is no
matrix is trained by Adam (Kingma & Ba 2015) with the rate lr.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

__all__ = ["Muon", "orthogonalised"]

QUINTIC = (3.4445, -4.7750, 2.0315)  # of the iteration; Jordan's, for speed and not for accuracy
TINY = 1e-12


def orthogonalised(x: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The matrix with the singular vectors of `x` and singular values between about 0.7 and 1.2.

    Parameters
    ----------
    x : Tensor, shape(m, n)
        Singular values much smaller than the largest (below 0.01 of the norm) stay below that.
    steps : int
    """
    a, b, c = QUINTIC
    tall = x.shape[0] > x.shape[1]
    y = (x.T if tall else x) / (x.norm() + TINY)
    for _ in range(steps):
        square = y @ y.T
        y = a * y + (b * square + c * square @ square) @ y
    return y.T if tall else y


class Muon(torch.optim.Optimizer):
    """Muon for matrices, Adam for all other parameters.

    Parameters
    ----------
    parameters : iterable of Tensor, or of dict
        Parameters, or groups of them with a rate ("lr") each.
    lr : float
        Of Adam.
    matrix_scale : float
        s: the rate of the matrices is this times `lr`.
    momentum : float
        mu.
    betas : (float, float)
        Of Adam.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 3e-3,
        matrix_scale: float = 5.0,
        momentum: float = 0.9,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        defaults = {
            "lr": lr,
            "matrix_scale": matrix_scale,
            "momentum": momentum,
            "betas": betas,
        }
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step on all parameters that have a gradient; `closure` is not used."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if parameter.ndim == 2:
                    _matrix_step(parameter, state, group)
                else:
                    _adam_step(parameter, state, group)


def _matrix_step(w: torch.Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    assert w.grad is not None
    average = state.setdefault("average", torch.zeros_like(w))
    average.lerp_(w.grad, 1.0 - group["momentum"])
    ahead = w.grad.lerp(average, group["momentum"])
    rate = group["lr"] * group["matrix_scale"] * max(1.0, w.shape[0] / w.shape[1]) ** 0.5
    w.add_(orthogonalised(ahead), alpha=-rate)


def _adam_step(w: torch.Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    assert w.grad is not None
    first, second = group["betas"]
    if not state:
        state["step"] = torch.zeros(())
        state["average"], state["square"] = torch.zeros_like(w), torch.zeros_like(w)
    state["step"] += 1
    count = float(state["step"])
    state["average"].lerp_(w.grad, 1.0 - first)
    state["square"].lerp_(w.grad.square(), 1.0 - second)
    size = (state["square"] / (1.0 - second**count)).sqrt_().add_(1e-8)
    w.addcdiv_(state["average"], size, value=-group["lr"] / (1.0 - first**count))
