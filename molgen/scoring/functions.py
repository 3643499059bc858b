"""A user's own Python function as a component: ``module:function``, or ``file.py:function``."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from molgen.scoring.batch import BatchScores, Failure, ScoringFailed, numbers, score_batches
from molgen.scoring.external import ExternalScorer, server_command
from molgen.scoring.registry import LONGEST, Kind, Parameter, register
from molgen.scoring.user_files import import_file, on_path

__all__ = ["FunctionScorer", "find_function", "prints_to_stderr"]

_START_LIMIT = 120.0  # seconds for a process of its own to import the user's module
_LOCK = threading.Lock()  # over the two below
_printing = 0  # how many calls now send to stderr what they print
_stdout: TextIO = sys.stdout  # what the first of them found in its place


@contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Send to stderr what Python code prints; several threads may do so at once.

    So it does not get into a table on standard output. ``sys.stdout`` is another for the whole
    process, from the first of the calls that overlap to the last. What has kept the stream from
    before, libraries in C and other programs still reach standard output.
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
    """Return the function that ``module:function`` or ``path/file.py:function`` names.

    What it prints on import goes to stderr.

    Parameters
    ----------
    name : str
    directory : Path, optional
        Where modules and files are looked for first: the directory of the scoring file. The
        current directory comes next.

    Raises
    ------
    ValueError
        It is not of that form, cannot be imported, or is no function; the message says which.
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
    """The module of a name, or of a file."""
    places = [directory or Path(), Path()]
    path = _file(name, places) if name.endswith(".py") else None
    try:
        with prints_to_stderr():
            if path is not None:
                return import_file(path)
            with on_path(places):
                return importlib.import_module(name)
    except (Exception, SystemExit) as problem:  # whatever the user's module does on import
        told = " ".join(f"{type(problem).__name__}: {problem}".split())
        raise ValueError(f"'{name}' cannot be imported ({told[:300]})") from None


def _file(name: str, places: Sequence[Path]) -> Path:
    for place in places:
        if (place / name).is_file():
            return place / name
    raise ValueError(
        f"there is no file '{name}' in {' or '.join(str(p.resolve()) for p in places)}"
    )


class FunctionScorer:
    """Calls a Python function in this process; what it prints goes to stderr.

    Parameters
    ----------
    function : callable
        Takes a list of canonical SMILES, returns as many numbers (None or NaN where it has none).
    size : int
        Molecules of one call.
    """

    def __init__(self, function: Callable[[list[str]], Any], size: int) -> None:
        self._function = function
        self._size = size

    def score(self, smiles: Sequence[str]) -> BatchScores:
        """Return the raw values; an exception of the function is a failure of its molecules."""
        return score_batches(smiles, self._size, self._call)

    def _call(self, batch: list[str]) -> list[float]:
        try:
            with prints_to_stderr():
                found = self._function(list(batch))
        except (Exception, SystemExit) as problem:  # the user's code
            name = type(problem).__name__
            raise ScoringFailed(Failure(f"raised {name}", str(problem)[:500])) from None
        return numbers(found, len(batch))

    def close(self) -> None:
        """Nothing to end."""


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
    find_function(function, directory)  # a name that is wrong is told at once
    return ExternalScorer(command, size, limit, start_limit=_START_LIMIT)


def _files(parameters: dict[str, Any]) -> dict[str, Path]:
    """The file behind a function that is named; what that imports is not looked at."""
    if callable(parameters["function"]):
        return {}
    name, _ = _parts(parameters["function"])
    file = getattr(_module(name, parameters["directory"]), "__file__", None)
    return {name: Path(file)} if file else {}


register(
    Kind(
        "function",
        "Your own",
        "a Python function: takes a list of SMILES, returns as many numbers",
        _build,
        (
            Parameter("function", "function", "where it is: module:function or file.py:function"),
            Parameter("batch_size", "integer", "most molecules of one call", 256, minimum=1),
            Parameter(
                "time_limit",
                "number",
                "seconds for one call; the function then runs in a process of its own",
                None,
                minimum=0.01,
                maximum=LONGEST,
            ),
        ),
        batch=True,
        files=_files,
    )
)
