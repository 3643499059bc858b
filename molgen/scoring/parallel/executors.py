"""Executors that a scoring file names, such as one of a Dask cluster: ``module:function``."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

from gfncore.errors import UserError
from molgen.scoring.components.functions import find_function, undisturbed
from molgen.scoring.parallel.pool import OpenExecutor

__all__ = ["executor_opener"]


def executor_opener(name: object, directory: Path | None, where: str) -> OpenExecutor:
    """Return a callable that opens the executor of a user's function.

    Parameters
    ----------
    name : str
        ``module:function`` or ``path/file.py:function``; the function takes no arguments and
        returns a `concurrent.futures.Executor`.
    directory : Path, optional
        Searched first for modules and files.
    where : str
        File and place, with which messages begin.

    Raises
    ------
    UserError
        There is no such function. The returned callable raises it if the function raises an
        exception or does not return an executor.
    """
    if not isinstance(name, str):
        raise UserError(f'{where}: executor is {name!r}; write executor = "module:function"')
    try:
        function = find_function(name, directory)
    except ValueError as problem:
        raise UserError(f"{where}: executor: {problem}") from None

    def open_executor() -> Executor:
        try:
            with undisturbed():
                found = function()  # type: ignore[call-arg]
        except (Exception, SystemExit) as problem:  # the user's code
            told = " ".join(f"{type(problem).__name__}: {problem}".split())
            raise UserError(f"{where}: executor: '{name}' raised {told[:300]}") from None
        if not isinstance(found, Executor):
            raise UserError(
                f"{where}: executor: '{name}' returned {type(found).__name__}; it must return a "
                "concurrent.futures.Executor"
            )
        return found

    return open_executor
