"""The draws of ``molgen sample`` from the trained sampler, of which the library is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gfncore.exploration import sample_trajectories
from gfncore.program.messages import Note
from gfncore.trajectories.scoring import score_backward
from molgen.molecules.diversity import ScaffoldCap

if TYPE_CHECKING:
    from molgen.runs.sample.run import SampleRun

__all__ = ["Draws", "draw_molecules"]


@dataclass
class Draws:
    """Draws for the library.

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
        Molecules that are in the library, and those left out for their scaffold.
    """

    smiles: list[str]
    states: Any
    log_weights: np.ndarray
    unscored: int
    cap: ScaffoldCap


def draw_molecules(run: SampleRun) -> Draws:
    """Draw until the library has as many molecules as were asked for."""
    effort = run.effort
    settings, generator = run.settings, run.rng("draws")
    policy = run.trainer.averaged.policy
    smiles: list[str] = []
    parts, weights = [], []
    cap = ScaffoldCap(settings.max_per_scaffold)
    unscored = drawn = 0
    size = min(effort.draw_batch, effort.most_draws_at_once * settings.samples)
    # a score may take long
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
    while len(cap.admitted) < settings.samples and drawn < effort.most_draws * settings.samples:
        batch = sample_trajectories(run.merged, policy, size, generator)
        log_pb = score_backward(run.merged, None, batch).sum(dim=1).cpu().numpy()
        assert batch.log_pf is not None
        names = run.merged.smiles(batch.terminals)
        drawn += len(names)
        known = np.arange(_scored_draws(run, names))
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
        run.progress.update(
            detail=f"{len(cap.admitted):,} molecules from {drawn:,} draws",
            done=len(cap.admitted) / settings.samples,
        )
        run.save_if_due()  # with the scores: the same draws are made again when it is resumed
        if unscored:
            break
        if len(cap.admitted) < settings.samples and run.past(effort.draws_share):
            run.warn(
                Note(
                    "few-molecules",
                    f"the budget of {settings.budget} allowed {drawn:,} draws: the library has "
                    f"{len(cap.admitted):,} of the {settings.samples:,} molecules requested",
                ),
                passing=True,
            )
            break
    states = type(parts[0]).concat(parts)
    return Draws(smiles, states, np.concatenate(weights), unscored, cap)


def _scored_draws(run: SampleRun, names: list[str]) -> int:
    """Return the number of leading draws that have a score once the remaining calls are used up.

    Later draws are discarded even if their molecule is known, as known molecules are not a fair
    sample of the draws.
    """
    left = run.settings.oracle_calls - run.scoring.calls
    allowed: set[str] = set()
    for draw, name in enumerate(names):
        if name not in allowed and not run.scoring.is_known(name):
            if left <= 0:
                return draw
            left -= 1
        allowed.add(name)
    return len(names)
