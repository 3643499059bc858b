"""Runs within another Python program: temporary directory, PyTorch's state, files of a result.

Command lines end with their process; a function must not leave files in the temporary directory, or
change the number of threads or the random state of its caller.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gfncore.errors import UserError
from gfncore.files import write_atomic
from gfncore.program.output import check_output, check_replaced, clear_output, locked_output
from gfncore.text.hints import did_you_mean

__all__ = ["call_text", "check_keywords", "result_directory", "temporary_run"]


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


@contextmanager
def result_directory(
    directory: Path, files: Mapping[str, str], known: Collection[str], *, force: bool
) -> Iterator[None]:
    """Lock a directory for the files of a result, and write those that runs write as they begin.

    Parameters
    ----------
    directory : Path
        Made if it does not exist.
    files : mapping of str to str
        Files that a run writes while it works, ``run.toml`` first, and their contents.
    known : collection of str
        The names (files or directories) that the program writes.
    force : bool
        Whether the files of an earlier run in the directory are replaced.

    Raises
    ------
    UserError
        The directory is in use, cannot be written, or is not empty; with ``force``: it has files
        of these names that no run of the program has written.
    """
    check_output(directory, force=force, in_python=True)
    if force:
        check_replaced(directory, known, in_python=True)
    with locked_output(directory):
        if force:
            clear_output(directory, known)
        for name, content in files.items():
            write_atomic(directory / name, content)
        yield


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
