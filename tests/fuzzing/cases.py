"""One case: an input made from its number, and what its reader makes of it."""

from __future__ import annotations

import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzzing.mutations import mutate
from tests.fuzzing.readers import READERS, Reader

__all__ = ["Outcome", "TIME_LIMIT", "case_input", "run_case", "run_reader"]

TIME_LIMIT = 10.0
"""Seconds of processor time that an input may take."""
LONGEST_MESSAGE = 1000
"""Characters of a message."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes
    ----------
    reader : str
    kind : {"read", "refused", "failed"}
    detail : str
        The message of a refusal; what is wrong with a failure.
    place : str
        Of a failure: exception and source line, by which failures are told apart.
    """

    reader: str
    kind: str
    detail: str = ""
    place: str = ""


def case_input(seed: int, number: int) -> tuple[Reader, bytes]:
    """Return the reader and the input of a case; both depend on the two numbers alone."""
    reader = READERS[number % len(READERS)]
    return reader, mutate(Random(f"{seed}:{number}"), reader.seeds(), reader.words)


def run_case(seed: int, number: int, folder: Path | None = None) -> Outcome:
    """Run a case in a folder of its own, or in one that is given."""
    reader, data = case_input(seed, number)
    return run_reader(reader, data, folder)


def run_reader(reader: Reader, data: bytes, folder: Path | None = None) -> Outcome:
    """Give an input to a reader.

    A failure is any exception that is not a `UserError`, any warning, a message that is not one
    short line or does not name the file, and an input that takes longer than `TIME_LIMIT`.
    """
    from gfncore.errors import UserError

    if folder is None:
        with tempfile.TemporaryDirectory() as made:
            return run_reader(reader, data, Path(made))
    path = folder / (reader.file or "text")
    path.write_bytes(data)
    begun = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            reader.read(path)
        outcome = Outcome(reader.name, "read")
    except UserError as refusal:
        outcome = _refusal(reader, str(refusal), path)
    except Exception as problem:
        frames = traceback.extract_tb(problem.__traceback__)
        own = [
            f
            for f in frames
            if "/phylogfn/" in f.filename or "/molgen/" in f.filename or "/gfncore/" in f.filename
        ]
        where = (own or frames)[-1]
        place = f"{type(problem).__name__} at {Path(where.filename).name}:{where.lineno}"
        outcome = Outcome(reader.name, "failed", f"{place}: {str(problem)[:300]}", place)
    used = time.process_time() - begun
    if used > TIME_LIMIT:
        return Outcome(reader.name, "failed", f"took {used:.1f} s of processor time", "time limit")
    return outcome


def _refusal(reader: Reader, message: str, path: Path) -> Outcome:
    for wrong, problem in (
        (not message.strip(), "a refusal without a message"),
        (len(message.splitlines()) > 1, "a message of several lines"),
        (len(message) > LONGEST_MESSAGE, "a message longer than a line"),
        (bool(reader.file) and path.name not in message, "a message that does not name the file"),
    ):
        if wrong:
            detail = f"{problem}: {message[:300]!r}"
            return Outcome(reader.name, "failed", detail, f"{problem}: {message[:40]!r}")
    return Outcome(reader.name, "refused", message)
