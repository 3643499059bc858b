"""The tensors of a training by name, as checkpoints hold them and processes exchange them."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from gfncore.text.numbers import parse_int

__all__ = ["load_optimizer", "optimizer_tensors", "tensors_below"]


def tensors_below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the entries below ``prefix/``, without it."""
    start = prefix + "/"
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the state of each parameter as ``NUMBER/FIELD``; rates are not part of it."""
    return {
        f"{number}/{field}": value
        for number, state in optimizer.state_dict()["state"].items()
        for field, value in state.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, stored: Mapping[str, torch.Tensor]) -> None:
    """Take over what `optimizer_tensors` of an optimiser of the same parameters returned.

    Raises
    ------
    ValueError
        A number is that of no parameter, or a tensor does not have the shape of its parameter.
    """
    state = optimizer.state_dict()
    state["state"] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, value in stored.items():
        number, _, field = key.partition("/")
        place = parse_int(number, 0, len(parameters) - 1)
        if value.ndim and value.shape != parameters[place].shape:
            raise ValueError(f"'optimizer/{key}' has shape {tuple(value.shape)}")
        state["state"].setdefault(place, {})[field] = value
    optimizer.load_state_dict(state)
