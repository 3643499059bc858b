"""Training metrics as JSON lines, one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
    run : int, optional
        Number of the run, if several write to the file: it is added to each line, and lines of
        other runs are kept.
    """

    def __init__(
        self,
        path: Path | str,
        after_step: int = 0,
        tensorboard: Path | None = None,
        run: int | None = None,
    ) -> None:
        path = Path(path)
        self._mark = {} if run is None else {"run": run}
        text = b""
        if (after_step or run is not None) and path.exists():
            text = path.read_bytes()
        write_atomic(path, "".join(_kept(text, after_step, run, path)))
        self._file = path.open("a", buffering=1)
        self._board = TensorBoardWriter(tensorboard, after_step) if tensorboard else None

    def write(self, metrics: Mapping[str, Any]) -> None:
        """Append one line; NaN and infinite numbers become ``null``."""
        self._file.write(json_line(self._mark | dict(metrics)))
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


def _kept(text: bytes, after_step: int, run: int | None, path: Path) -> Iterator[str]:
    """Yield the lines that a resumed run continues from, and those of other runs."""
    ended = False
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break
        try:
            values = json.loads(line)
            own, later = values.get("run") == run, values["step"] > after_step
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise UserError(
                f"{path}, line {number}: was damaged since it was written; delete the "
                "file, which only curves of the report are drawn from"
            ) from None
        ended = ended or (own and later)
        if not (own and ended):
            yield line.decode()
