"""Training metrics as JSON lines, one object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from gfncore.errors import UserError
from gfncore.files import write_atomic
from gfncore.program.output import json_line
from gfncore.program.tensorboard import TensorBoardWriter

__all__ = ["MetricsWriter"]


class MetricsWriter:
    """Appends metrics to a file such as ``train.jsonl``.

    Parameters
    ----------
    path : Path
    after_step : int
        On resume, lines of later steps (and a last line cut short) are dropped first; 0 starts a
        new file.
    tensorboard : Path, optional
        Directory in which the same numbers are written for TensorBoard.
    """

    def __init__(
        self, path: Path | str, after_step: int = 0, tensorboard: Path | None = None
    ) -> None:
        path = Path(path)
        kept = []
        if after_step and path.exists():
            for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    step = json.loads(line)["step"]
                    later = step > after_step
                except (ValueError, TypeError, KeyError, RecursionError):
                    raise UserError(
                        f"{path}, line {number}: was damaged since it was written; delete the "
                        "file, which only curves of the report are drawn from"
                    ) from None
                if later:
                    break
                kept.append(line.decode())
        write_atomic(path, "".join(kept))
        self._file = path.open("a", buffering=1)
        self._board = TensorBoardWriter(tensorboard, after_step) if tensorboard else None

    def write(self, metrics: Mapping[str, Any]) -> None:
        """Append one line; NaN and infinite numbers become ``null``."""
        self._file.write(json_line(metrics))
        if self._board is not None:
            self._board.write(metrics)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._board is not None:
            self._board.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
