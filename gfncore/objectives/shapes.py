"""Loss functions of residuals, which replace the square.

A shape is even, zero at zero, and close to the square there. ``square`` is used in the publications
of the balance objectives. ``pseudo_huber``, 2 sqrt(1 + x^2) - 2, grows linearly, so that a few
draws far out of balance (objects with very low reward that the policy still draws) do not dominate
the others.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["SHAPES", "shape"]


def _square(x: torch.Tensor) -> torch.Tensor:
    return x.square()


def _pseudo_huber(x: torch.Tensor) -> torch.Tensor:
    return 2.0 * ((1.0 + x.square()).sqrt() - 1.0)


SHAPES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "square": _square,
    "pseudo_huber": _pseudo_huber,
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
