"""Checkpoints of a training run: safetensors and JSON, nothing unpickled.

A directory holds ``checkpoint.json`` and the tensor file that it names. Both are written to a
temporary name, synced and renamed, the JSON last: whenever the process is killed, the directory
holds one complete checkpoint, the old or the new one. The JSON is that of Python, which has NaN and
Infinity: they come back as they were, and stricter readers refuse them.

The JSON has the SHA-256 of the tensor file and of its own other content, and what made them: a file
that was damaged, edited or exchanged is refused, and not taken for another state.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from gfncore.errors import UserError
from gfncore.files import clear_leftovers, write_atomic
from gfncore.text.input import read_bytes
from gfncore.text.numbers import shortened
from gfncore.training.state import tensors_below
from gfncore.training.trainer import Trainer

__all__ = ["Checkpoint", "CheckpointError", "read_checkpoint", "restore_trainer", "save_checkpoint"]

FORMAT = 3
INDEX = "checkpoint.json"
_INDEX_LIMIT = 2**30  # bytes
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
        return {k: v.numpy() for k, v in tensors_below(self.tensors, "arrays").items()}

    @property
    def has_trainer(self) -> bool:
        """Whether a trainer was saved."""
        return "generator" in self.index


def save_checkpoint(
    directory: Path | str,
    trainer: Trainer | None,
    extra: Mapping[str, Any] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    origin: Mapping[str, Any] | None = None,
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
    origin : mapping, optional
        What made the checkpoint, such as `gfncore.program.configuration.RunSettings.origin`; a run
        that has another cannot read it.
    """
    directory = Path(directory)
    directory.mkdir(exist_ok=True)  # not its parent: an output directory that is gone is an error
    tensors = {f"arrays/{key}": _tensor(value) for key, value in (arrays or {}).items()}
    index: dict[str, Any] = {
        "format": FORMAT,
        "origin": dict(origin or {}),
        "extra": dict(extra or {}),
    }
    if trainer is not None:
        state = trainer.state_dict()
        tensors |= state.pop("tensors")
        index |= state
    data = save({key: value.contiguous() for key, value in tensors.items()})
    checksum = hashlib.sha256(data).hexdigest()
    name = f"{checksum[:16]}.safetensors"
    index |= {"tensors": name, "sha256": checksum}
    write_atomic(directory / name, data)
    write_atomic(directory / INDEX, json.dumps(index | {"checksum": _checksum(index)}, indent=1))
    for old in directory.glob("*.safetensors"):
        if old.name != name and _TENSOR_FILE.fullmatch(old.name):
            old.unlink()
    clear_leftovers(directory)


def read_checkpoint(directory: Path | str, origin: Mapping[str, Any] | None = None) -> Checkpoint:
    """Read a checkpoint.

    Parameters
    ----------
    directory : Path
    origin : mapping, optional
        What the checkpoint must come from, as given to `save_checkpoint`.

    Raises
    ------
    CheckpointError
        If there is none, it cannot be read, was changed since it was written, or comes from
        something else.
    """
    directory = Path(directory)
    try:
        index = _read_index(directory / INDEX)
        if origin is not None:
            _check_origin(index["origin"], origin, directory)
        path = directory / index["tensors"]
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != index["sha256"]:
                raise _damaged(path)
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except FileNotFoundError as error:
        raise CheckpointError(f"{directory}: no checkpoint here ({error.filename})") from None
    except (ValueError, KeyError, TypeError, OSError, SafetensorError) as error:
        raise CheckpointError(f"{directory}: the checkpoint cannot be read: {error}") from None
    return Checkpoint(directory, index, tensors)


def _read_index(path: Path) -> dict[str, Any]:
    """Return what a JSON file holds, once its format and its checksum are known to be right."""
    try:
        index = json.loads(read_bytes(path, error=CheckpointError, limit=_INDEX_LIMIT))
    except (ValueError, RecursionError):
        raise _damaged(path) from None
    except CheckpointError:
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path)) from None
        raise
    if not isinstance(index, dict) or not isinstance(index.get("format"), int):
        raise _damaged(path)
    if index["format"] != FORMAT:
        raise CheckpointError(
            f"{path}: format {index['format']}, but this version reads {FORMAT}; resume with the "
            "version that wrote it, or start a new run"
        )
    if index.pop("checksum", None) != _checksum(index):
        raise _damaged(path)
    return index


def _checksum(index: Mapping[str, Any]) -> str:
    """SHA-256 of the content of the JSON file."""
    return hashlib.sha256(json.dumps(index, indent=1).encode()).hexdigest()


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path}: was damaged or changed since it was written (its checksum differs); restore it "
        "from a copy, or start a new run"
    )


def _check_origin(saved: Mapping[str, Any], wanted: Mapping[str, Any], directory: Path) -> None:
    """Refuse a checkpoint of another command, version or setting."""
    wanted = json.loads(json.dumps(wanted))  # tuples as lists
    for key in ("command", "version"):
        if saved.get(key) != wanted.get(key):
            raise CheckpointError(
                f"{directory}: the checkpoint is of {key} {saved.get(key)}, and this is "
                f"{wanted.get(key)}; start a new run in another directory"
            )
    before, now = saved.get("settings", {}), wanted.get("settings", {})
    for key in dict.fromkeys([*before, *now]):
        if before.get(key) != now.get(key):
            raise CheckpointError(
                f"{directory}: the checkpoint is of a run with {key} "
                f"{_shown(before.get(key))}, and the settings say {_shown(now.get(key))}; "
                "restore that value, or start a new run"
            )


def _shown(value: Any) -> str:
    return "unset" if value is None else shortened(repr(value), 100)


def restore_trainer(checkpoint: Checkpoint, trainer: Trainer) -> None:
    """Put a trainer, made in the same way as the saved one, into the saved state.

    Raises
    ------
    CheckpointError
        If the checkpoint does not fit the trainer.
    """
    differences = "; ".join(_differences(checkpoint, trainer))  # before anything is changed
    if differences:
        raise CheckpointError(
            f"{checkpoint.directory}: of a run with other settings: {differences}"
        )
    try:
        trainer.load_state_dict(checkpoint.index | {"tensors": checkpoint.tensors})
    except RuntimeError as error:  # of a module
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{checkpoint.directory}: of a run with other settings: {reason}"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{checkpoint.directory}: the state of training cannot be used: {error}"
        ) from None


def _differences(checkpoint: Checkpoint, trainer: Trainer) -> Iterator[str]:
    """Yield what the checkpoint has and the trainer has not, or the other way round."""
    for key, part in (("backward_policy", trainer.backward_policy), ("replay", trainer.replay)):
        name, saved = key.replace("_", " "), bool(tensors_below(checkpoint.tensors, key))
        if saved and part is None:
            yield f"it has a {name}, and this run has none"
        if part is not None and not saved:
            yield f"it has no {name}, and this run has one"
    stored = tensors_below(checkpoint.tensors, "replay").keys()
    if stored and trainer.replay is not None:
        wanted = trainer.replay.arrays().keys()
        if stored != wanted:
            yield f"its replay has {', '.join(stored)}, and not {', '.join(wanted)}"
    here = type(trainer.optimizer).__name__
    optimiser = checkpoint.index.get("optimiser")
    if optimiser != here:
        yield f"its optimiser is {optimiser}, and that of this run is {here}"


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
