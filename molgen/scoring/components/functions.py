"""A user's own Python function as a component: ``module:function``, or ``file.py:function``."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from molgen.scoring.components.external import ExternalScorer, server_command
from molgen.scoring.parallel.batch import (
    BatchScores,
    Failure,
    ScoringFailed,
    numbers,
    score_batches,
)
from molgen.scoring.registry import LONGEST, Kind, Parameter, register
from molgen.scoring.user_files import import_file, search_last

__all__ = ["FunctionScorer", "find_function", "prints_to_stderr", "undisturbed"]

_START_LIMIT = 120.0  # seconds for a process of its own to import the user's module
_LOCK = threading.Lock()  # over the two below
_printing = 0  # number of calls whose output is currently redirected to stderr
_stdout: TextIO = sys.stdout  # the original stream, stored by the first of them


@contextmanager
def undisturbed() -> Iterator[None]:
    """Send the output of a user's code to stderr and restore the current directory afterwards.

    Otherwise this process would later write into a directory to which the code has changed.
    """
    try:
        before = os.getcwd()
    except OSError:  # it was deleted
        before = None
    try:
        with prints_to_stderr():
            yield
    finally:
        if before is not None:
            with suppress(OSError):
                os.chdir(before)


@contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Redirect the output of Python code to stderr, also for several concurrent threads.

    It thus cannot get into a table on standard output. ``sys.stdout`` is replaced for the whole
    process from the first to the last of overlapping calls. Code that has stored the original
    stream, C libraries and other programs still reach standard output.
    """
    global _printing, _stdout
    with _LOCK:
        if not _printing:
            _stdout, sys.stdout = sys.stdout, sys.stderr
        _printing += 1
    try:
        yield
    finally:
        with _LOCK:
            _printing -= 1
            if not _printing:
                sys.stdout = _stdout


def find_function(name: str, directory: Path | None = None) -> Callable[[list[str]], Any]:
    """Return the function named by ``module:function`` or ``path/file.py:function``.

    Output during the import goes to stderr, and the current directory is restored.

    Parameters
    ----------
    name : str
    directory : Path, optional
        Searched first for the file or module: the directory of the scoring file. The current
        directory follows, then all installed modules. For imports of the file itself it is searched
        last.

    Raises
    ------
    ValueError
        The name has another form, cannot be imported, or is not a function; the message says which.
    """
    module_name, attribute = _parts(name)
    module = _module(module_name, directory)
    function = getattr(module, attribute, None)
    if not callable(function):
        offered = [k for k, v in vars(module).items() if callable(v) and not k.startswith("_")]
        raise ValueError(
            f"'{module_name}' has no function '{attribute}' "
            f"(it has: {', '.join(offered) or 'none'})"
        )
    return function


def _parts(name: str) -> tuple[str, str]:
    module_name, colon, attribute = name.rpartition(":")
    if not colon or not module_name or not attribute:
        raise ValueError(f"'{name}' names no function; write it as module:function")
    return module_name, attribute


def _module(name: str, directory: Path | None) -> ModuleType:
    """Return the module of a name or of a file."""
    places = [directory or Path(), Path()]
    if name.endswith(".py"):
        path = _file(name, places)
    else:  # the file that the name means, whatever installed module is called like it
        beside = (place / f"{name}.py" for place in places)
        path = next((file for file in beside if os.path.isfile(file)), None)
    try:
        with undisturbed():
            if path is not None:
                return import_file(path)
            search_last(places)
            module = importlib.import_module(name)
            _check_not_hidden(name, module, places)
            return module
    except (Exception, SystemExit) as problem:  # whatever the user's module does on import
        told = " ".join(f"{type(problem).__name__}: {problem}".split())
        raise ValueError(f"'{name}' cannot be imported ({told[:300]})") from None


def _check_not_hidden(name: str, module: ModuleType, places: Sequence[Path]) -> None:
    """Refuse an installed module if a package next to the scoring file has the same name."""
    top = name.partition(".")[0]
    found = Path(getattr(module, "__file__", None) or "").resolve()
    beside = [place.resolve() for place in places if os.path.isfile(place / top / "__init__.py")]
    if beside and not any(found.is_relative_to(place / top) for place in beside):
        raise ImportError(f"the installed module {found} has the same name; rename yours")


def _file(name: str, places: Sequence[Path]) -> Path:
    for place in places:
        if os.path.isfile(place / name):
            return place / name
    raise ValueError(
        f"there is no file '{name}' in {' or '.join(str(p.resolve()) for p in places)}"
    )


class FunctionScorer:
    """Scorer that calls a Python function in this process, with its output sent to stderr.

    Parameters
    ----------
    function : callable
        Takes a list of canonical SMILES and returns one number for each (None or NaN if missing).
    size : int
        Number of molecules per call.
    """

    def __init__(self, function: Callable[[list[str]], Any], size: int) -> None:
        self._function = function
        self._size = size

    def score(self, smiles: Sequence[str]) -> BatchScores:
        """Return the raw values; an exception of the function is a failure of its molecules."""
        return score_batches(smiles, self._size, self._call)

    def _call(self, batch: list[str]) -> list[float]:
        try:
            with undisturbed():
                # numbers() may run the user's code, too, where it returns an iterator
                return numbers(self._function(list(batch)), len(batch))
        except ScoringFailed:
            raise
        except (Exception, SystemExit) as problem:  # the user's code
            name = type(problem).__name__
            raise ScoringFailed(Failure(f"raised {name}", str(problem)[:500])) from None

    def close(self) -> None:
        """Do nothing; there are no resources to release."""


def _build(parameters: dict[str, Any]) -> Any:
    function, directory = parameters["function"], parameters.get("directory")
    size, limit = parameters["batch_size"], parameters["time_limit"]
    if callable(function):
        if limit is not None:
            raise ValueError("'time_limit' needs 'function' as a text 'module:function'")
        return FunctionScorer(function, size)
    if limit is None:
        return FunctionScorer(find_function(function, directory), size)
    command = server_command("function_server", function, *([str(directory)] if directory else []))
    find_function(function, directory)  # an invalid name is reported immediately
    return ExternalScorer(command, size, limit, start_limit=_START_LIMIT)


def _files(parameters: dict[str, Any]) -> dict[str, Path]:
    """Return the file of a named function; files imported by it are not included."""
    if callable(parameters["function"]):
        return {}
    name, _ = _parts(parameters["function"])
    file = getattr(_module(name, parameters["directory"]), "__file__", None)
    return {name: Path(file)} if file else {}


register(
    Kind(
        "function",
        "Your own",
        "a Python function that takes a list of SMILES and returns one number for each",
        _build,
        (
            Parameter("function", "function", "its location: module:function or file.py:function"),
            Parameter(
                "batch_size", "integer", "maximum number of molecules per call", 256, minimum=1
            ),
            Parameter(
                "time_limit",
                "number",
                "maximum seconds per call; the function then runs in a separate process",
                None,
                minimum=0.01,
                maximum=LONGEST,
            ),
        ),
        batch=True,
        files=_files,
    )
)
