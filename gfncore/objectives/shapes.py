"""Loss functions of residuals, which replace the square.

A shape h is zero at zero, positive elsewhere, and close to the square near zero. The residual is x
= (log of the forward side) - (log of the backward side), e.g. log Z + sum log P_F - log R - sum log
P_B: positive where the policy draws too often. The sign matters for h that are not even.

``square``, x^2, is that of the publications of the balance objectives. On the policy's own draws
its gradient is that of the reverse divergence, KL(policy || target).

``pseudo_huber``, 2 sqrt(1 + x^2) - 2, grows linearly, so that a few draws far out of balance
(objects with very low reward that the policy still draws) do not dominate the others.

``linex``, 2 (exp(-x) + x - 1), is Linex(1) of Hu et al. 2025 (arXiv:2410.02596). On the policy's
own draws its gradient is that of KL(target || policy): it grows exponentially where the policy
draws too rarely, so that no mode is given up, and linearly where it draws too often.

``shifted_cosh``, 2 cosh(x) - 2 (same source), is exponential on both sides.

The exponential shapes need residuals of a few nats: log Z that starts near its value, and rewards
that do not range over hundreds of nats.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["SHAPES", "shape"]


def _square(x: torch.Tensor) -> torch.Tensor:
    return x.square()


def _pseudo_huber(x: torch.Tensor) -> torch.Tensor:
    return 2.0 * ((1.0 + x.square()).sqrt() - 1.0)


def _linex(x: torch.Tensor) -> torch.Tensor:
    return 2.0 * (torch.expm1(-x) + x)


def _shifted_cosh(x: torch.Tensor) -> torch.Tensor:
    return 4.0 * torch.sinh(0.5 * x).square()  # 2 cosh(x) - 2 without cancellation


SHAPES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "square": _square,
    "pseudo_huber": _pseudo_huber,
    "linex": _linex,
    "shifted_cosh": _shifted_cosh,
}


def shape(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the shape with the given name.

    Raises
    ------
    ValueError
        If there is none; the message lists the known ones.
    """
    if name not in SHAPES:
        raise ValueError(
            f"the shape of the loss is {name!r}, but must be one of {', '.join(SHAPES)}"
        )
    return SHAPES[name]
