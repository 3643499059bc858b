"""Checkpoints of a training run: safetensors and JSON, nothing unpickled.

A directory holds ``checkpoint.json`` and the tensor file that it names. Both are written to a
temporary name, synced and renamed, the JSON last: whenever the process is killed, the directory
holds one complete checkpoint, the old or the new one. The JSON is that of Python, which has NaN and
Infinity: they come back as they were, and stricter readers refuse them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from gfncore.errors import UserError
from gfncore.output import clear_leftovers, write_atomic
from gfncore.replay import Replay
from gfncore.training import Trainer

__all__ = ["Checkpoint", "CheckpointError", "read_checkpoint", "restore_trainer", "save_checkpoint"]

FORMAT = 2
INDEX = "checkpoint.json"
_TENSOR_FILE = re.compile(r"[0-9a-f]{16}\.safetensors")


class CheckpointError(UserError):
    """A checkpoint that is absent, incomplete, or of another run."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    directory : Path
    index : dict
        The JSON file; ``index["extra"]`` is what the caller gave to `save_checkpoint`.
    tensors : dict of str to Tensor
    """

    directory: Path
    index: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    @property
    def extra(self) -> dict[str, Any]:
        """The caller's own JSON."""
        return self.index["extra"]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The caller's own arrays."""
        return {k: v.numpy() for k, v in _under(self.tensors, "arrays").items()}

    @property
    def has_trainer(self) -> bool:
        """Whether a trainer was saved."""
        return "generator" in self.index


def _array_fields(states: Any) -> dict[str, np.ndarray]:
    """The array fields of a batch of states by name."""
    values = {field.name: getattr(states, field.name) for field in fields(states)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def _modules(trainer: Trainer) -> dict[str, torch.nn.Module]:
    modules = {
        "policy": trainer.policy,
        "average": trainer.averaged.policy,
        "objective": trainer.objective,
    }
    if trainer.backward_policy is not None:
        modules["backward_policy"] = trainer.backward_policy
    return modules


def save_checkpoint(
    directory: Path | str,
    trainer: Trainer | None,
    extra: Mapping[str, Any] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write the whole state of a trainer, and what the caller wants back.

    Parameters
    ----------
    directory : Path
        Made if it is not there, in a directory that is. Nothing else may be writing there: what a
        killed write left is removed.
    trainer : Trainer, optional
        None: there is none yet.
    extra : mapping, optional
        What else the caller wants back, as JSON.
    arrays : mapping of str to ndarray, optional
        The same for arrays.
    """
    directory = Path(directory)
    directory.mkdir(exist_ok=True)  # not its parent: an output directory that is gone is an error
    tensors = {f"arrays/{key}": _tensor(value) for key, value in (arrays or {}).items()}
    index: dict[str, Any] = {"format": FORMAT, "extra": dict(extra or {})}
    if trainer is not None:
        index |= {
            "step": trainer.step_number,
            "seconds_by_part": trainer.seconds_by_part,
            "generator": trainer.generator.bit_generator.state,
            "optimiser": type(trainer.optimizer).__name__,
        }
        tensors |= _trainer_tensors(trainer)
    data = save({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
    name = f"{hashlib.sha256(data).hexdigest()[:16]}.safetensors"
    write_atomic(directory / name, data)
    write_atomic(directory / INDEX, json.dumps(index | {"tensors": name}, indent=1))
    for old in directory.glob("*.safetensors"):
        if old.name != name and _TENSOR_FILE.fullmatch(old.name):
            old.unlink()
    clear_leftovers(directory)


def _trainer_tensors(trainer: Trainer) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for name, module in _modules(trainer).items():
        tensors |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
    for index, state in trainer.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": value for key, value in state.items()}
    if trainer.replay is not None:
        stored = _replay_arrays(trainer.replay)
        tensors |= {f"replay/{key}": _tensor(value) for key, value in stored.items()}
    return tensors


def _replay_arrays(replay: Replay) -> dict[str, np.ndarray]:
    return _array_fields(replay.states) | {"log_reward": replay.log_reward}


def read_checkpoint(directory: Path | str) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    CheckpointError
        If there is none, or it cannot be read.
    """
    directory = Path(directory)
    try:
        index = json.loads((directory / INDEX).read_text())
        if index["format"] != FORMAT:
            raise CheckpointError(
                f"{directory / INDEX}: format {index['format']}, but this version reads {FORMAT}"
            )
        with safe_open(directory / index["tensors"], framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except FileNotFoundError as error:
        raise CheckpointError(f"{directory}: no checkpoint here ({error.filename})") from None
    except (ValueError, KeyError, OSError, SafetensorError) as error:
        raise CheckpointError(f"{directory}: the checkpoint cannot be read: {error}") from None
    return Checkpoint(directory, index, tensors)


def restore_trainer(checkpoint: Checkpoint, trainer: Trainer) -> None:
    """Put a trainer, made in the same way as the saved one, into the saved state.

    Raises
    ------
    CheckpointError
        If the checkpoint does not fit the trainer.
    """
    index, tensors = checkpoint.index, checkpoint.tensors
    differences = "; ".join(_differences(checkpoint, trainer))  # before anything is changed
    if differences:
        raise CheckpointError(
            f"{checkpoint.directory}: of a run with other settings: {differences}"
        )
    try:
        for name, module in _modules(trainer).items():
            module.load_state_dict(_under(tensors, name))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{checkpoint.directory}: of a run with other settings: {reason}"
        ) from None
    optimizer = trainer.optimizer.state_dict()
    optimizer["state"] = {}
    for key, value in _under(tensors, "optimizer").items():
        number, _, field = key.partition("/")
        optimizer["state"].setdefault(int(number), {})[field] = value
    trainer.optimizer.load_state_dict(optimizer)
    trainer.step_number = index["step"]
    trainer.seconds_by_part = dict(index["seconds_by_part"])
    trainer.generator.bit_generator.state = index["generator"]
    if trainer.replay is not None:
        stored = {key: value.numpy() for key, value in _under(tensors, "replay").items()}
        log_reward = stored.pop("log_reward")
        trainer.replay.restore(replace(trainer.replay.environment.initial(0), **stored), log_reward)


def _differences(checkpoint: Checkpoint, trainer: Trainer) -> Iterator[str]:
    """Yield what the checkpoint has and the trainer has not, or the other way round."""
    for key, part in (("backward_policy", trainer.backward_policy), ("replay", trainer.replay)):
        name, saved = key.replace("_", " "), bool(_under(checkpoint.tensors, key))
        if saved and part is None:
            yield f"it has a {name}, and this run has none"
        if part is not None and not saved:
            yield f"it has no {name}, and this run has one"
    stored = _under(checkpoint.tensors, "replay").keys()
    if stored and trainer.replay is not None:
        wanted = _replay_arrays(trainer.replay).keys()
        if stored != wanted:
            yield f"its replay has {', '.join(stored)}, and not {', '.join(wanted)}"
    here = type(trainer.optimizer).__name__
    optimiser = checkpoint.index.get("optimiser", here)  # earlier versions did not write it
    if optimiser != here:
        yield f"its optimiser is {optimiser}, and that of this run is {here}"


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _under(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The entries below ``prefix/``, without it."""
    start = prefix + "/"
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
