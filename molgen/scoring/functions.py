"""A user's own Python function as a component: ``module:function``, or ``file.py:function``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from molgen.scoring.batch import BatchScores, Failure, ScoringFailed, numbers, score_batches
from molgen.scoring.external import ExternalScorer
from molgen.scoring.registry import Kind, Parameter, register

__all__ = ["FunctionScorer", "find_function"]

_START_LIMIT = 120.0  # seconds for a process of its own to import the user's module


def find_function(name: str, directory: Path | None = None) -> Callable[[list[str]], Any]:
    """Return the function that ``module:function`` or ``path/file.py:function`` names.

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
    module_name, colon, attribute = name.rpartition(":")
    if not colon or not module_name or not attribute:
        raise ValueError(f"'{name}' names no function; write it as module:function")
    places = [directory or Path(), Path()]
    try:
        if module_name.endswith(".py"):
            module = _from_file(module_name, places)
        else:
            added = [str(place.resolve()) for place in places]
            sys.path[:0] = added
            try:
                module = importlib.import_module(module_name)
            finally:
                for entry in added:
                    sys.path.remove(entry)
    except ValueError:
        raise
    except (Exception, SystemExit) as problem:  # whatever the user's module does on import
        raise ValueError(
            f"'{module_name}' cannot be imported ({type(problem).__name__}: {problem})"
        ) from None
    function = getattr(module, attribute, None)
    if not callable(function):
        offered = [k for k, v in vars(module).items() if callable(v) and not k.startswith("_")]
        raise ValueError(
            f"'{module_name}' has no function '{attribute}' "
            f"(it has: {', '.join(offered) or 'none'})"
        )
    return function


def _from_file(name: str, places: Sequence[Path]) -> Any:
    for place in places:
        path = place / name
        if path.is_file():
            spec = importlib.util.spec_from_file_location(path.stem, path)
            if spec is not None and spec.loader is not None:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module
    raise ValueError(
        f"there is no file '{name}' in {' or '.join(str(p.resolve()) for p in places)}"
    )


class FunctionScorer:
    """Calls a Python function in this process.

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
    command = [sys.executable, "-m", "molgen.scoring.function_server", function]
    if directory is not None:
        command.append(str(directory))
    find_function(function, directory)  # a name that is wrong is told at once
    return ExternalScorer(command, size, limit, start_limit=_START_LIMIT)


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
            ),
        ),
        batch=True,
    )
)
