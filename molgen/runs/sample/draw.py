"""The draws of ``molgen sample`` from the trained sampler, and the selection of the library.

The policy never fits its target exactly, so more molecules are drawn than the library takes, until
the draws contain as much information as enough independent draws from the target. Of the distinct
molecules drawn, those of the library are selected by weight (`gfncore.evaluation.resampling`): the
library is closer to the target than the draws, and its own weights make up for the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gfncore.evaluation import WeightedDraws
from gfncore.evaluation.resampling import WeightedSelection, select_by_weight
from gfncore.exploration import sample_trajectories
from gfncore.program.messages import Note
from gfncore.trajectories.scoring import score_backward
from molgen.molecules.diversity import ScaffoldCap
from molgen.results.columns import count_draws

if TYPE_CHECKING:
    from molgen.runs.sample.run import SampleRun

__all__ = ["Draws", "draw_molecules", "select_molecules"]


@dataclass
class Draws:
    """Draws from the trained sampler.

    Attributes
    ----------
    smiles : list of str
        Canonical SMILES of each draw.
    states : object
        Their states, a batch of the environment.
    log_weights : ndarray, shape(n,), dtype=float64
        Log of reward over probability; -inf where the score is 0.
    unscored : int
        Last draws that were left out, as no oracle calls were left for them.
    cap : ScaffoldCap
        Molecules with a score above zero, in order of arrival, and those that are too many for
        their scaffold.
    """

    smiles: list[str]
    states: Any
    log_weights: np.ndarray
    unscored: int
    cap: ScaffoldCap

    @cached_property
    def distinct(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Distinct molecules, how often each was drawn, and the draw in which it came first."""
        return count_draws(self.smiles)

    @cached_property
    def molecule_log_weights(self) -> np.ndarray:
        """Log of the summed weight of each distinct molecule, shape(m,), dtype=float64."""
        row = {name: number for number, name in enumerate(self.distinct[0])}
        total = np.full(len(row), -np.inf)
        np.logaddexp.at(total, [row[name] for name in self.smiles], self.log_weights)
        return total


def draw_molecules(run: SampleRun) -> Draws:
    """Draw until the library can be selected; tell what ended the draws before.

    That is so when there are as many distinct molecules as were asked for and, where molecules are
    drawn by reward, `SampleEffort.effective_draws` times as many effective draws.
    """
    effort = run.effort
    settings, generator = run.settings, run.rng("draws")
    policy = run.trainer.averaged.policy
    smiles: list[str] = []
    parts, weights = [], []
    cap = ScaffoldCap(settings.max_per_scaffold)
    unscored = drawn = 0
    size = _batch_size(run)
    fewest_effective = effort.effective_draws * settings.samples if settings.proportional else 0.0
    # the check of the library has calls of its own, unless few are left
    left = run.calls_allowed - run.scoring.calls
    last_call = run.calls_allowed - min(run.control_calls, left // 2)
    share = 0.0  # of what the library needs
    while share < 1.0 and drawn < effort.most_draws * settings.samples:
        batch = sample_trajectories(run.merged, policy, size, generator)
        with torch.no_grad():
            scored = score_backward(run.merged, run.trainer.backward_policy, batch)
        log_pb = scored.sum(dim=1).cpu().numpy()
        assert batch.log_pf is not None
        names = run.merged.smiles(batch.terminals)
        drawn += len(names)
        known = np.arange(_scored_draws(run, names, last_call))
        unscored += len(names) - len(known)
        states = batch.terminals.take(known)
        here = [names[i] for i in known]
        smiles += here
        total = run.scoring.evaluate(here, canonical=True).total
        log_weights = run.merged.log_reward(states) + (log_pb - batch.log_pf)[known]
        # the reward floor of training, which stands for a score of zero, does not count towards Z
        weights.append(np.where(total > 0.0, log_weights, -np.inf))
        parts.append(states)
        for name, score in zip(here, total, strict=True):
            if score > 0.0:
                cap.offer(name)
        share = len(cap.admitted) / settings.samples
        detail = f"{drawn:,} draws, {len(cap.scaffolds):,} molecules"
        if fewest_effective and cap.scaffolds:
            effective = WeightedDraws(np.concatenate(weights)).ess
            share = min(share, effective / fewest_effective)
            detail += f", {effective:,.0f} effective draws"
        run.progress.update(detail=detail, done=min(share, 1.0))
        run.save_if_due()  # with the scores: the same draws are made again when it is resumed
        if unscored:
            break
        if share < 1.0 and run.past(effort.draws_share):
            run.warn(_out_of_time(run, drawn, len(cap.admitted)), passing=True)
            break
    states = type(parts[0]).concat(parts)
    return Draws(smiles, states, np.concatenate(weights), unscored, cap)


def select_molecules(run: SampleRun, draws: Draws) -> WeightedSelection:
    """Select the molecules of the library from the distinct molecules drawn.

    Without a distribution to follow, these are the first ones, with equal weights. Otherwise they
    are selected by weight: of a scaffold with more molecules than allowed first those that may be
    taken, then the library. The weights estimate means over the target in either case.
    """
    settings, generator = run.settings, run.rng("selection")
    names = draws.distinct[0]
    if not settings.proportional:
        taken = [row for row, name in enumerate(names) if name in draws.cap.admitted]
        rows = np.array(taken[: settings.samples], np.int64)
        return WeightedSelection(rows, np.zeros(len(rows)))
    log_weights = draws.molecule_log_weights.copy()
    most = settings.max_per_scaffold
    if most is not None:
        for rows in _crowded(draws, names, most):
            chosen = select_by_weight(log_weights[rows], most, generator)
            log_weights[rows] = -np.inf
            log_weights[rows[chosen.rows]] = chosen.log_weights
    return select_by_weight(log_weights, settings.samples, generator)


def _crowded(draws: Draws, names: Sequence[str], most: int) -> list[np.ndarray]:
    """Rows of the molecules of each scaffold that has more than it may have."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if scaffold := draws.cap.scaffolds.get(name, ""):
            rows.setdefault(scaffold, []).append(row)
    return [np.array(found) for found in rows.values() if len(found) > most]


def _batch_size(run: SampleRun) -> int:
    """How many molecules are drawn at a time; fewer, with a warning, where scores are slow."""
    effort, settings = run.effort, run.settings
    size = min(effort.draw_batch, effort.most_draws_at_once * settings.samples)
    fitting = effort.batch_share * settings.budget_seconds / max(run.seconds_a_draw(), 1e-9)
    if fitting < size:
        size = max(int(fitting), min(size, effort.fewest_in_batch))
        run.warn(
            Note(
                "slow-scores",
                f"scores are slow for the budget of {settings.budget}: molecules are drawn "
                f"{size:,} at a time; results of the same seed may differ between machines",
            ),
            passing=True,
        )
    return size


def _out_of_time(run: SampleRun, drawn: int, found: int) -> Note:
    """What the end of the budget means for the library."""
    settings = run.settings
    if found < settings.samples:
        return Note(
            "few-molecules",
            f"the budget of {settings.budget} allowed {drawn:,} draws: the library has "
            f"{found:,} of the {settings.samples:,} molecules requested",
        )
    return Note(
        "draws-time-limit",
        f"the draws reached their time limit within the budget of {settings.budget}; results of "
        "the same seed may differ between machines",
    )


def _scored_draws(run: SampleRun, names: list[str], last_call: int) -> int:
    """Return the number of leading draws that have a score once `last_call` calls are used up.

    Later draws are discarded even if their molecule is known, as known molecules are not a fair
    sample of the draws.
    """
    left = last_call - run.scoring.calls
    allowed: set[str] = set()
    for draw, name in enumerate(names):
        if name not in allowed and not run.scoring.is_known(name):
            if left <= 0:
                return draw
            left -= 1
        allowed.add(name)
    return len(names)
