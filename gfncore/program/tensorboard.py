"""The metrics of training for TensorBoard, an extra.

In a clone of phylogfn: ``pip install '.[tensorboard]'``.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfncore.errors import UserError

__all__ = ["TensorBoardWriter", "require_tensorboard"]


def require_tensorboard() -> None:
    """Check that TensorBoard is there, before a run begins that is to write for it.

    Raises
    ------
    UserError
        It is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError(
            "--tensorboard: TensorBoard is not installed; in a clone of phylogfn: "
            "pip install '.[tensorboard]', or leave the option out (train.jsonl holds the same "
            "figures)"
        )


class TensorBoardWriter:
    """Writer of metrics as named scalars over steps.

    Parameters
    ----------
    directory : Path
        Directory of the event files, created if missing; shown by ``tensorboard --logdir``.
    after_step : int
        On resume, later steps written by an earlier session are no longer shown.
    """

    def __init__(self, directory: Path, after_step: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purged = after_step + 1 if after_step else None
        self._writer = SummaryWriter(str(directory), purge_step=purged, flush_secs=10)

    def write(self, metrics: Mapping[str, Any]) -> None:
        """Write the numbers of one line of ``train.jsonl``, at its ``step``."""
        for name, value in metrics.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and name != "step":
                self._writer.add_scalar(name, value, metrics["step"])

    def close(self) -> None:
        """Write all pending events and close the file."""
        self._writer.close()
