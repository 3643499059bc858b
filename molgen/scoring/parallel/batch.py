"""Components that take lists of SMILES: their results, and isolation of failing molecules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np

__all__ = [
    "BatchScorer",
    "BatchScores",
    "Failure",
    "ScoringFailed",
    "batch_scores",
    "numbers",
    "score_batches",
]


class Failure(NamedTuple):
    """Reason for a missing score.

    Attributes
    ----------
    reason : str
        Category for counting failures, for instance ``"timed out"``.
    detail : str
        Further details: the error message, the last output of the program.
    of_program : bool
        Whether a program or worker failed instead of the molecule, so that a retry may give a
        score.
    """

    reason: str
    detail: str = ""
    of_program: bool = False

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class ScoringFailed(Exception):
    """A whole batch has no scores."""

    def __init__(self, failure: Failure, alone: bool = True) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.alone = alone  # whether the molecules should be tried one by one


@dataclass(frozen=True)
class BatchScores:
    """Raw values of some molecules.

    Attributes
    ----------
    values : ndarray, shape (n,), dtype float64
        NaN where there is none.
    failures : dict of int to Failure
        The reason for every NaN.
    """

    values: np.ndarray
    failures: dict[int, Failure] = field(default_factory=dict)


class BatchScorer(Protocol):
    """A component that takes lists of canonical SMILES."""

    def score(self, smiles: Sequence[str]) -> BatchScores:
        """Return the raw values; errors are failures of molecules, never exceptions."""
        ...

    def close(self) -> None:
        """End programs and threads."""
        ...


def numbers(found: Any, expected: int) -> list[float]:
    """Return the answer of a function or program as floats, with None as NaN.

    Raises
    ------
    ScoringFailed
        It is not a list of numbers (arrays of shape (n, 1) are accepted), or has the wrong length.
    """
    kind = type(found).__name__
    if isinstance(found, str | bytes | Mapping | Set):
        raise ScoringFailed(Failure("no list of scores", f"answered {kind}"))
    try:
        if len(getattr(found, "shape", ())) == 2 and hasattr(found, "to_numpy"):
            found = found.to_numpy()  # a table iterates over the names of its columns
        # one more than there should be, as an iterator may have no end
        entries = list(found) if hasattr(found, "__len__") else list(islice(found, expected + 1))
    except TypeError:
        raise ScoringFailed(Failure("no list of scores", f"answered {kind}")) from None
    except Exception as problem:  # of a user's iterator
        told = " ".join(f"{type(problem).__name__}: {problem}".split())[:500]
        raise ScoringFailed(Failure("no list of scores", f"{kind} raised {told}")) from None
    if len(entries) != expected:
        raise ScoringFailed(
            Failure("wrong number of scores", f"{len(entries)} for {expected} molecules")
        )
    try:
        return [math.nan if entry is None else float(_single(entry)) for entry in entries]
    except Exception as problem:  # float() of a user's object, or of an integer without end
        raise ScoringFailed(Failure("a score is not a number", str(problem)[:200])) from None


def _single(entry: Any) -> Any:
    """Return the number in a row of one column; anything else as it is."""
    if not isinstance(entry, str | bytes) and hasattr(entry, "__len__"):
        if getattr(entry, "shape", None) != () and len(entry) == 1:
            return entry[0]
    return entry


def score_batches(
    smiles: Sequence[str],
    size: int,
    call: Callable[[list[str]], list[float]],
    mapper: Callable[..., Any] = map,
) -> BatchScores:
    """Score in batches; where a batch fails as a whole, its molecules are tried one by one.

    So one molecule that cannot be scored costs no other its score.

    Parameters
    ----------
    smiles : sequence of str
    size : int
        Molecules of a batch.
    call : callable
        Scores one batch; raises `ScoringFailed`.
    mapper : callable
        Like ``map``; one that runs batches at once will do.
    """

    def one(batch: list[str]) -> list[float | Failure]:
        try:
            return [v if not math.isnan(v) else Failure("not a number") for v in call(batch)]
        except ScoringFailed as problem:
            if len(batch) == 1 or not problem.alone:
                return [problem.failure] * len(batch)
        return [entry for text in batch for entry in one([text])]

    batches = [list(smiles[at : at + size]) for at in range(0, len(smiles), size)]
    return batch_scores([entry for found in mapper(one, batches) for entry in found])


def batch_scores(entries: Sequence[float | Failure]) -> BatchScores:
    """Return the results of molecules, each a value or a failure, as arrays."""
    failures = {i: entry for i, entry in enumerate(entries) if isinstance(entry, Failure)}
    values = np.array(
        [math.nan if isinstance(entry, Failure) else entry for entry in entries], dtype=float
    )
    values[np.isinf(values)] = np.nan
    for i in np.flatnonzero(np.isnan(values)):
        failures.setdefault(int(i), Failure("not finite"))
    return BatchScores(values, failures)
