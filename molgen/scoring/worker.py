"""What worker processes do: components that are functions of one RDKit molecule.

A plan, a JSON text, names the components; each process builds their functions once. So a task is
a plan and some SMILES, and any `concurrent.futures.Executor` can run it.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from molgen.scoring.batch import Failure
from molgen.scoring.molecules import canonical_smiles, parse
from molgen.scoring.registry import find_kind
from molgen.scoring.transforms import make_transform

__all__ = ["PASS", "MoleculeScore", "canonical_chunk", "score_chunk"]

PASS = 0.5  # a filter lets molecules pass whose score reaches this


class MoleculeScore(NamedTuple):
    """Raw values of one molecule for the components of a plan.

    Attributes
    ----------
    values : list of float
        NaN where there is none, or where a filter before it was not passed.
    failures : dict of int to Failure
        By column.
    """

    values: list[float]
    failures: dict[int, Failure]


@functools.lru_cache(maxsize=16)
def _functions(plan: str) -> list[tuple[Callable, Callable | None]]:
    """The function of each component of a plan, and for filters what tells whether it is passed."""
    built = []
    for entry in json.loads(plan):
        kind = find_kind(entry["type"], "plan")
        transform = make_transform(entry["transform"], "plan") if entry["transform"] else None
        built.append((kind.build(entry["params"]), _passes(transform) if entry["filter"] else None))
    return built


def _passes(transform: Callable[[np.ndarray], np.ndarray] | None) -> Callable[[float], bool]:
    if transform is None:
        return lambda value: value >= PASS
    return lambda value: bool(transform(np.array([value]))[0] >= PASS)


def score_chunk(plan: str, smiles: Sequence[str]) -> list[MoleculeScore]:
    """Return the raw values of canonical ``smiles``, each parsed once."""
    functions = _functions(plan)
    return [_score(text, functions) for text in smiles]


def _score(text: str, functions: list[tuple[Callable, Callable | None]]) -> MoleculeScore:
    values = [math.nan] * len(functions)
    failures: dict[int, Failure] = {}
    mol = parse(text)
    if mol is None:
        return MoleculeScore(values, {0: Failure("invalid SMILES")})
    for column, (function, passes) in enumerate(functions):
        try:
            value = float(function(mol))
        except Exception as problem:  # one molecule must not end the run
            words = str(problem).strip().replace("\n", " ")[:200]
            failures[column] = Failure(f"raised {type(problem).__name__}", words)
            continue
        if not math.isfinite(value):
            failures[column] = Failure("not finite")
            continue
        values[column] = value
        if passes is not None and not passes(value):
            break
    return MoleculeScore(values, failures)


def canonical_chunk(smiles: Sequence[str]) -> list[str | None]:
    """Return canonical SMILES, None where RDKit refuses a molecule."""
    return [canonical_smiles(text) for text in smiles]
