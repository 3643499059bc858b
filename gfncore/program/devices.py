"""Where the networks of a run are."""

from __future__ import annotations

import torch

from gfncore.errors import UserError

__all__ = ["choose_device"]


def choose_device(name: str) -> str:
    """Return "cpu" or "cuda" for a setting "auto", "cpu" or "cuda".

    Raises
    ------
    UserError
        CUDA is asked for and is not there.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("--device cuda: this machine has no CUDA device that PyTorch can use")
    return "cuda" if name == "cuda" or (name == "auto" and available) else "cpu"
