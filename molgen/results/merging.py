"""One library out of those of several reward exponents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from molgen.molecules.diversity import internal_diversity
from molgen.results.columns import LibraryColumns
from molgen.results.exponents import ExponentSample
from molgen.results.facts import RunFacts

__all__ = ["merge_parts"]


def merge_parts(
    parts: Sequence[tuple[LibraryColumns, RunFacts]],
) -> tuple[LibraryColumns, RunFacts]:
    """Return a library with the molecules of all exponents, and the facts of the whole run.

    Parameters
    ----------
    parts : sequence of (LibraryColumns, RunFacts)
        For each exponent, in the order of the draws: the facts of the last one have the number of
        calls and the warnings of the run.

    Returns
    -------
    columns : LibraryColumns
        With `LibraryColumns.samples`. What depends on the exponent is nan in the columns
        themselves; ``count`` is that of all draws.
    facts : RunFacts
    """
    rows: dict[str, tuple[int, int]] = {}  # part and row in which each molecule comes first
    for number, (columns, _) in enumerate(parts):
        for row, smiles in enumerate(columns.smiles):
            rows.setdefault(smiles, (number, row))
    smiles = np.array(list(rows), dtype=object).astype(str)
    reward = np.array([parts[k][0].reward[row] for k, row in rows.values()])
    order = np.lexsort((smiles, -reward)).tolist()
    names = [str(smiles[i]) for i in order]
    place = {name: row for row, name in enumerate(names)}
    sources = [rows[name] for name in names]

    def pick(of: str) -> np.ndarray:
        return np.array([getattr(parts[k][0], of)[row] for k, row in sources])

    samples = tuple(_sample(columns, facts, place) for columns, facts in parts)
    first, unknown = parts[0][0], np.full(len(names), np.nan)
    merged = LibraryColumns(
        smiles=tuple(names),
        reward=pick("reward"),
        log_reward=unknown,
        components={
            name: np.array([parts[k][0].components[name][row] for k, row in sources])
            for name in first.components
        },
        objectives=pick("objectives"),
        objective_names=first.objective_names,
        log_probability=unknown,
        log_probability_se=unknown,
        scaffold=tuple(parts[k][0].scaffold[row] for k, row in sources),
        count=np.sum([sample.count for sample in samples], axis=0),
        weight=unknown,
        labels={
            name: [parts[k][0].labels[name][row] for k, row in sources] for name in first.labels
        },
        samples=samples,
    )
    return merged, _merged_facts([facts for _, facts in parts])


def _sample(columns: LibraryColumns, facts: RunFacts, place: dict[str, int]) -> ExponentSample:
    """What was drawn at one exponent, in the rows of the whole library."""
    rows = np.array([place[name] for name in columns.smiles], np.int64)

    def spread(values: np.ndarray, empty: float) -> np.ndarray:
        column = np.full(len(place), empty, values.dtype)
        column[rows] = values
        return column

    return ExponentSample(
        exponent=facts.reward_exponent,
        log_partition=facts.log_partition,
        log_partition_se=facts.log_partition_se,
        ess=facts.ess,
        pareto_k=facts.pareto_k,
        n_proposals=facts.n_proposals,
        mean_score=columns.top_mean(len(columns)),
        top10_mean=columns.top_mean(10),
        internal_diversity=internal_diversity(columns.fingerprints),
        log_reward=spread(columns.log_reward, np.nan),
        log_probability=spread(columns.log_probability, np.nan),
        log_probability_se=spread(columns.log_probability_se, np.nan),
        count=spread(columns.count, 0),
        weight=spread(columns.weight, 0.0),
    )


def _merged_facts(facts: Sequence[RunFacts]) -> RunFacts:
    """The facts of the run: sums and means over its parts, and what the last one knows."""
    last, draws = facts[-1], sum(part.n_proposals for part in facts)
    return replace(
        last,
        control=None,
        n_proposals=draws,
        validity=sum(part.validity * part.n_proposals for part in facts) / draws,
        log_partition=math.nan,
        log_partition_se=math.nan,
        ess=math.nan,
        pareto_k=math.nan,
        reward_exponent=math.nan,
        scoring=replace(
            last.scoring,
            zero_draws=sum(part.scoring.zero_draws for part in facts),
            left_out_by_scaffold=sum(part.scoring.left_out_by_scaffold for part in facts),
        ),
    )
