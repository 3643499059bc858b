"""A check of the library by a second sampler: local changes that leave the target unchanged.

Importance weights cannot show molecules that the sampler never draws. Here molecules of the library
are changed by a few rounds of local search with the Metropolis-Hastings rule
(`gfncore.exploration.local_search`), which leaves the target distribution invariant whatever the
sampler does. For each molecule let

    f(x) = log R(x) + log P_B(tau | x) - log P_F(tau),      tau ~ P_B(. | x),

which is log Z for every molecule of a perfect sampler, and is large for those that the sampler
draws too rarely. If the library, with its weights, represents the target, then start and end of
these reversible chains can be exchanged, and f rises as often as it falls. Where it mostly rises,
local changes lead to molecules that the sampler draws too rarely: log Z is too low by more than its
standard error.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import softmax

from gfncore.exploration import backward_trajectories, local_search
from gfncore.trajectories.scoring import score_backward, score_forward
from molgen.results.facts import LocalControl

if TYPE_CHECKING:
    from molgen.runs.sample.run import SampleRun

__all__ = ["control_by_local_changes"]


def control_by_local_changes(
    run: SampleRun, states: Any, log_weights: np.ndarray
) -> LocalControl | None:
    """Change molecules of the library, and return how often f has risen.

    Parameters
    ----------
    run : SampleRun
    states : States
        A state of each molecule of the library, at least one.
    log_weights : ndarray, shape (n,), float64
        Log weights of the molecules, up to a constant.

    Returns
    -------
    LocalControl or None
        None if there are too few molecules, or too few oracle calls or too little time are left.
    """
    effort, generator = run.effort, run.rng("control")
    n = min(len(states), effort.control_molecules, _affordable(run) // effort.control_rounds)
    if n < effort.fewest_control_molecules:
        return None
    rows = np.sort(generator.choice(len(states), n, replace=False))
    start = now = states.take(rows)
    log_reward = run.merged.log_reward(now)
    for done in range(effort.control_rounds):
        found = local_search(
            run.merged,
            run.trainer.averaged.policy,
            now,
            log_reward,
            effort.local_steps,
            generator,
            fewest_steps=1,
            epsilon=effort.local_epsilon,
            temperature=effort.local_temperature,
        )
        now, log_reward = found.terminals, found.log_reward
        run.progress.update(detail=f"round {done + 1}", done=(done + 1) / effort.control_rounds)
    changed = (run.merged.keys(start) != run.merged.keys(now)).any(axis=1)
    rise = _log_ratios(run, now, generator) - _log_ratios(run, start, generator)
    rising = error = math.nan
    if changed.any():
        weights = softmax(log_weights[rows][changed])
        rising = float(weights[rise[changed] > 0.0].sum())
        error = 0.5 * math.sqrt(float((weights**2).sum()))  # of a fair coin
    return LocalControl(rising, error, n, int(changed.sum()), effort.control_rounds)


def _affordable(run: SampleRun) -> int:
    """Return the number of changes for which there are oracle calls and time."""
    calls = min(run.control_calls, run.calls_allowed - run.scoring.calls)
    seconds = run.left(run.effort.control_share)
    return int(min(calls, seconds / max(run.seconds_a_draw(), 1e-9)))


def _log_ratios(run: SampleRun, states: Any, generator: np.random.Generator) -> np.ndarray:
    """f of each state, by one trajectory."""
    backward_policy = run.trainer.backward_policy
    drawn = backward_trajectories(run.merged, states, generator, backward_policy)
    with torch.no_grad():
        log_pf = score_forward(run.merged, run.trainer.averaged.policy, drawn).sum(dim=1)
        log_pb = score_backward(run.merged, backward_policy, drawn).sum(dim=1)
    return run.merged.log_reward(states) + (log_pb.cpu() - log_pf.cpu()).numpy()
