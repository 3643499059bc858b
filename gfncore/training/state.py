"""The tensors of a training by name, as checkpoints hold them and processes exchange them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from gfncore.text.numbers import parse_int
from gfncore.training.replay import Replay

__all__ = [
    "load_optimizer",
    "load_training_tensors",
    "optimizer_tensors",
    "tensors_below",
    "training_tensors",
]


def training_tensors(
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    replay: Replay | None,
    backward_arrays: Mapping[str, np.ndarray],
) -> dict[str, torch.Tensor]:
    """Return all tensors of a training, on the CPU, as ``PART/NAME``.

    `backward_arrays` are those of `gfncore.backward.base.BackwardTraining.arrays`.
    """
    parts = {name: module.state_dict() for name, module in modules.items()}
    parts["optimizer"] = optimizer_tensors(optimizer)
    if replay is not None:
        parts["replay"] = _tensors(replay.arrays())
    parts["backward_training"] = _tensors(backward_arrays)
    return {
        f"{part}/{key}": value.detach().cpu()
        for part, values in parts.items()
        for key, value in values.items()
    }


def load_training_tensors(
    tensors: Mapping[str, torch.Tensor],
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    replay: Replay | None,
) -> dict[str, np.ndarray]:
    """Take over what `training_tensors` returned, and return the arrays of the backward training.

    Raises
    ------
    RuntimeError
        The tensors of a module are not those of this training.
    KeyError, ValueError
        Another value is missing or does not fit.
    """
    for name, module in modules.items():
        module.load_state_dict(tensors_below(tensors, name))
    load_optimizer(optimizer, tensors_below(tensors, "optimizer"))
    if replay is not None:
        replay.load_arrays(_arrays(tensors_below(tensors, "replay")))
    return _arrays(tensors_below(tensors, "backward_training"))


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in arrays.items()}


def _arrays(tensors: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in tensors.items()}


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
