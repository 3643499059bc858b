"""Tasks of workers: components that are functions of one RDKit molecule, or of lists of SMILES.

A plan, a JSON text, names the components of the first kind; each process builds their functions
once. A component of the second kind is named by its kind and parameters, and each thread builds its
own. A task is thus a short text and some SMILES, and any `concurrent.futures.Executor` can run it.
"""

from __future__ import annotations

import functools
import json
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from rdkit.rdBase import BlockLogs

from molgen.molecules.reading import canonical_smiles, parse
from molgen.scoring.catalogue import find_kind
from molgen.scoring.parallel.batch import BatchScorer, Failure
from molgen.scoring.transforms import make_transform

__all__ = ["PASS", "MoleculeScore", "canonical_chunk", "score_batch", "score_chunk"]

PASS = 0.5  # a filter lets molecules pass whose score reaches this
_OF_THREAD = threading.local()  # scorers own programs, which handle one request at a time


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
    """Return the function of each component of a plan, and for filters the test for passing."""
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
    with BlockLogs():  # RDKit's own messages name no molecule
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


def score_batch(kind: str, parameters: dict[str, Any], smiles: Sequence[str]) -> list[Any]:
    """Return the results of a list component for ``smiles``, each a float or a `Failure`.

    Parameters
    ----------
    kind : str
        Its kind.
    parameters : dict
        Checked, with ``directory``.
    smiles : sequence of str
        Canonical.
    """
    found = _scorer(kind, parameters).score(smiles)
    return [found.failures.get(row, float(value)) for row, value in enumerate(found.values)]


def _scorer(kind: str, parameters: dict[str, Any]) -> BatchScorer:
    if any(callable(value) for value in parameters.values()):
        return find_kind(kind, "plan").build(parameters)  # nothing to start, and no name to find
    made: dict[str, BatchScorer] = _OF_THREAD.__dict__
    name = json.dumps([kind, parameters], sort_keys=True, default=str)
    if name not in made:
        made[name] = find_kind(kind, "plan").build(parameters)
    return made[name]
