"""Isolation of a run within another Python program: temporary directory and PyTorch's state.

Command lines end with their process; a function must not leave files in the temporary directory, or
change the number of threads or the random state of its caller.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gfncore.errors import UserError
from gfncore.text.hints import did_you_mean

__all__ = ["call_text", "check_keywords", "temporary_run"]


@contextmanager
def temporary_run(program: str) -> Iterator[Path]:
    """Run something in a directory that is removed at the end, however that comes.

    PyTorch's number of threads and its random numbers are then those of before.

    Parameters
    ----------
    program : str
        Begins the name of the directory.

    Yields
    ------
    output : Path
        An output directory, not made yet.
    """
    import torch

    threads = torch.get_num_threads()
    used = torch.cuda.is_available() and torch.cuda.is_initialized()
    devices = list(range(torch.cuda.device_count())) if used else []
    with (
        tempfile.TemporaryDirectory(prefix=f"{program}-", ignore_cleanup_errors=True) as folder,
        torch.random.fork_rng(devices=devices),
    ):
        try:
            yield Path(folder) / "run"
        finally:
            torch.set_num_threads(threads)


def check_keywords(function: Any, unknown: Mapping[str, Any]) -> None:
    """Refuse keyword arguments that a function does not have, and name the nearest that it has.

    Raises
    ------
    UserError
        There are any.
    """
    for name in unknown:
        kinds = inspect.signature(function).parameters.values()
        known = [kind.name for kind in kinds if kind.kind is kind.KEYWORD_ONLY]
        hint = did_you_mean(name, known) or f" (there are: {', '.join(known)})"
        raise UserError(f"{function.__name__}(): unknown keyword '{name}'{hint}")


def call_text(function: str, *positional: Any, **given: Any) -> str:
    """Return a call as one would write it, without the keywords that are None.

    Examples
    --------
    >>> call_text("phylogfn.sample", "primates.fasta", model="JC69", budget=None)
    "phylogfn.sample('primates.fasta', model='JC69')"
    """
    words = [repr(value) for value in positional]
    words += [f"{name}={value!r}" for name, value in given.items() if value is not None]
    return f"{function}({', '.join(words)})"
