"""The corrections for symmetric molecules."""

from __future__ import annotations

from typing import Literal, get_args

from gfncore.errors import UserError

__all__ = ["SYMMETRIES", "Symmetry", "check_symmetry"]

Symmetry = Literal["merged", "reward_scaling", "flow_scaling", "none"]
SYMMETRIES: tuple[Symmetry, ...] = get_args(Symmetry)
"""Correction of the sampling probabilities of symmetric molecules."""


def check_symmetry(name: str) -> None:
    """Refuse a name that is not in `SYMMETRIES`.

    Raises
    ------
    UserError
        The name is unknown; the message lists the known ones.
    """
    if name not in SYMMETRIES:
        raise UserError(f"symmetry: {name!r} is not known; choose among {', '.join(SYMMETRIES)}")
