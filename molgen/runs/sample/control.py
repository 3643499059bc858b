"""A check of the library by a second sampler: local changes that leave the target unchanged.

Importance weights cannot show molecules that the sampler never draws. Here molecules of the library
are changed by a few rounds of local search with the Metropolis-Hastings rule
(`gfncore.exploration.local_search`), which leaves the target distribution invariant whatever the
sampler does. If the library, with its weights, represents the target, no mean over it changes. The
mean that is watched is that of

    f(x) = log R(x) + log P_B(tau | x) - log P_F(tau),      tau ~ P_B(. | x),

which is log Z for every molecule of a perfect sampler, and is large for those that the sampler
draws too rarely. Where local changes lead to such molecules, f rises: log Z is then too low by more
than its standard error.
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
    """Change molecules of the library, and return how f has changed.

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
    now = states.take(rows)
    before = _log_ratios(run, now, generator)
    log_reward = run.merged.log_reward(now)
    done = accepted = 0
    while done < effort.control_rounds:
        found = local_search(
            run.merged,
            run.trainer.averaged.policy,
            now,
            log_reward,
            effort.control_steps,
            generator,
            fewest_steps=1,
            epsilon=effort.control_epsilon,
            temperature=effort.control_temperature,
        )
        now, log_reward = found.terminals, found.log_reward
        done, accepted = done + 1, accepted + int(found.accepted.sum())
        run.progress.update(detail=f"round {done}", done=done / effort.control_rounds)
    change = _log_ratios(run, now, generator) - before
    weights = softmax(log_weights[rows])
    drift = float((weights * change).sum())
    error = math.sqrt(float((weights**2 * (change - drift) ** 2).sum()))
    return LocalControl(drift, error, n, done, accepted / (done * n))


def _affordable(run: SampleRun) -> int:
    """Return the number of changes for which there are oracle calls and time."""
    effort, settings = run.effort, run.settings
    calls = min(
        effort.control_calls * settings.oracle_calls, settings.oracle_calls - run.scoring.calls
    )
    return int(min(calls, run.left(effort.control_share) / max(run.seconds_a_draw(), 1e-9)))


def _log_ratios(run: SampleRun, states: Any, generator: np.random.Generator) -> np.ndarray:
    """f of each state, by one trajectory."""
    drawn = backward_trajectories(run.merged, states, generator)
    with torch.no_grad():
        log_pf = score_forward(run.merged, run.trainer.averaged.policy, drawn).sum(dim=1)
    log_pb = score_backward(run.merged, None, drawn).sum(dim=1)
    return run.merged.log_reward(states) + (log_pb.cpu() - log_pf.cpu()).numpy()
