"""Training of the sampler in blocks, until it is accurate or time or calls are used up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from rdkit import Chem

from gfncore.evaluation import WeightedDraws
from gfncore.exploration import sample_trajectories
from gfncore.program.messages import Note
from gfncore.program.metrics import MetricsWriter
from gfncore.trajectories.batch import Trajectories
from gfncore.trajectories.scoring import score_backward
from molgen.molecules.diversity import MODE_SCORE, find_modes, morgan_fingerprints
from molgen.runs.sample.answer import commonest
from molgen.runs.sample.parts import at_exponent
from molgen.runs.sample.run import SampleRun

__all__ = ["draw_weighted", "start_log_z", "train"]

FEWEST_PILOTS = 128  # draws at each of several exponents


def train(run: SampleRun, metrics: MetricsWriter) -> None:
    """Train in blocks until the sampler is accurate, or calls or time are used up."""
    effort = run.effort
    run.progress.phase("training the sampler")
    settings, state, trainer = run.settings, run.state, run.trainer
    ended: Note | None = None
    proportional = settings.proportional
    early = "" if not proportional else " before the target accuracy"
    while not state.accurate:
        if _out_of_time(run):
            ended = Note(
                "training-time-limit",
                f"training reached its time limit within the budget of {settings.budget}{early}; "
                "results of the same seed may differ between machines",
            )
            break
        if run.calls_left < run.calls_a_step:
            ended = Note(
                "oracle-calls-used",
                f"training ended after {run.scoring.calls:,} of {settings.oracle_calls:,} oracle "
                f"calls{early}; the remaining calls are kept for the final draws. Increase "
                "--oracle-calls to train for longer",
            )
            break
        if trainer.step_number == 0:
            start_log_z(run)
        while state.in_block < effort.block and run.calls_left >= run.calls_a_step:
            metrics.write(trainer.step())
            state.in_block += 1
            # a score may take long: steps are shown, end with the budget, and are not lost
            if state.in_block < effort.block:
                _show(run)
                run.save_if_due()
                if _out_of_time(run):
                    break
        if state.in_block < effort.block and _out_of_time(run):
            continue
        state.blocks, state.in_block = state.blocks + 1, 0
        if state.blocks == 1:
            _tell_of_failures(run)
        metrics.write(_best_so_far(run))
        judged = proportional and state.blocks % effort.pilot_every == 0
        found = _pilots(run) if judged else None
        if found is not None:
            exponent, log_z, error, ess = found
            state.ess_share = ess / _pilot_draws(run)
            state.accurate = (
                state.ess_share > effort.accurate_share
                and trainer.step_number >= effort.fewest_steps
            )
            metrics.write(
                {
                    "step": trainer.step_number,
                    "seconds": trainer.seconds,
                    **({} if len(settings.exponents) == 1 else {"reward_exponent": exponent}),
                    "log_partition": log_z,
                    "log_partition_se": error,
                    "ess": ess,
                }
            )
        _show(run)
        run.save_if_due()
    run.save()
    if ended:
        run.warn(ended, passing=True)


def _show(run: SampleRun) -> None:
    """Show the progress of training."""
    shown: dict[str, float] = {"best_score": run.reward.best}
    if math.isfinite(run.state.ess_share):
        shown["effective_share"] = run.state.ess_share
    detail = f"step {run.trainer.step_number}, {run.scoring.calls:,} molecules scored"
    run.progress.update(**shown, detail=detail, done=_spent(run))


def _out_of_time(run: SampleRun) -> bool:
    """Return whether training, of at least one step, has used its share of the budget."""
    spent = run.seconds() > run.effort.train_share * run.settings.budget_seconds
    return spent and run.trainer.step_number > 0


def _tell_of_failures(run: SampleRun) -> None:
    """Warn early where most scores fail: the run would otherwise learn nothing for hours."""
    failed = run.scoring.failed
    if sum(failed.values()) > run.effort.mostly_failed * run.scoring.calls:
        run.warn(
            Note(
                "failed-scores",
                f"{sum(failed.values()):,} of the first {run.scoring.calls:,} scores failed "
                f"({commonest(failed, examples=run.scoring.failure_examples)})",
            )
        )


def _spent(run: SampleRun) -> float:
    """Return the share of the calls or of the training time that is used up, the larger one."""
    allowed = run.scoring.calls + max(run.calls_left - run.calls_a_step, 0)
    calls = run.scoring.calls / allowed if allowed else 1.0
    return max(calls, run.seconds() / (run.effort.train_share * run.settings.budget_seconds))


def _best_so_far(run: SampleRun) -> dict[str, Any]:
    """How good and, now and then, how different the best of the molecules scored are."""
    effort = run.effort
    found = {
        "step": run.trainer.step_number,
        "seconds": run.trainer.seconds,
        "best_score": run.reward.best,
        "oracle_calls": run.scoring.calls,
    }
    if run.state.blocks % effort.modes_every == 0:
        smiles, scores = run.scoring.best(effort.modes_among)
        bits = morgan_fingerprints([Chem.MolFromSmiles(name) for name in smiles])
        found["n_modes"] = len(find_modes(bits, scores, least_score=MODE_SCORE))
    return found


def start_log_z(run: SampleRun) -> None:
    """Let a learned log Z start where the first draws of the untrained policy put it."""
    effort, objective = run.effort, run.trainer.objective
    n = min(effort.pilot // 4, run.calls_left - run.calls_a_step)
    if objective.log_z is None or n <= 1:
        return
    generator = run.rng("pilot")
    end = run.seconds() + effort.start_share * run.settings.budget_seconds
    low, high = (at_exponent(run, e) for e in (run.exponents.low, run.exponents.high))
    parts: list[np.ndarray] = []
    rises: list[np.ndarray] = []
    while n > 0 and (not parts or run.seconds() < end):  # a score may take long
        size = min(n, effort.pilot // 16)
        drawn, log_weights = draw_weighted(low, run.trainer.policy, size, generator)
        parts.append(log_weights)
        other = high.merged.with_temperature(low.merged.without_temperature(drawn))
        rises.append(high.merged.log_reward(other) - low.merged.log_reward(drawn))
        n -= size
    start = float(np.concatenate(parts).mean())
    with torch.no_grad():
        objective.log_z.fill_(start)
        if objective.curve is not None:
            # an untrained policy is the same at all temperatures: means are linear in beta
            middle = run.exponents.middle
            rise = float(np.concatenate(rises).mean())
            slope = rise * middle / (run.exponents.high - run.exponents.low)
            objective.curve.slope.fill_(slope)
            objective.log_z.add_(slope * (1.0 - run.exponents.low / middle))


def draw_weighted(
    run: SampleRun, policy: Any, n: int, generator: np.random.Generator
) -> tuple[Any, np.ndarray]:
    """Draw n finished states, with log R + log P_B - log P_F, all by classes."""
    return _weighted(run, sample_trajectories(run.merged, policy, n, generator))


def _weighted(run: SampleRun, drawn: Trajectories) -> tuple[Any, np.ndarray]:
    """Return the finished states of trajectories, and their log-weights."""
    with torch.no_grad():
        scored = score_backward(run.merged, run.trainer.backward_policy, drawn)
    log_pb = scored.sum(dim=1).cpu().numpy()
    assert drawn.log_pf is not None
    return drawn.terminals, run.merged.log_reward(drawn.terminals) + log_pb - drawn.log_pf


def _pilot_draws(run: SampleRun) -> int:
    """Number of pilot draws at each exponent."""
    n, pilot = len(run.settings.exponents), run.effort.pilot
    return pilot if n == 1 else max(pilot // n, min(FEWEST_PILOTS, pilot))


def _pilots(run: SampleRun) -> tuple[float, float, float, float] | None:
    """The exponent with the smallest effective sample size, and what `_pilot` finds there.

    None where the calls that are left are too few for the pilot of an exponent.
    """
    found: list[tuple[float, float, float, float]] = []
    for exponent in run.settings.exponents:
        pilot = _pilot(at_exponent(run, exponent))
        if pilot is None:
            return None
        found.append((exponent, *pilot))
    return min(found, key=lambda pilot: pilot[3])


def _pilot(run: SampleRun) -> tuple[float, float, float] | None:
    """log Z, its standard error, and the effective number of draws.

    None where more molecules of the pilot are new than there are calls left. Where all draws have a
    score of zero, log Z is NaN, and the number is that of draws that are equally likely: training
    need not go on until the budget ends.
    """
    policy, generator = run.trainer.averaged.policy, run.rng("pilot", run.state.blocks)
    trajectories = sample_trajectories(run.merged, policy, _pilot_draws(run), generator)
    smiles = set(run.merged.smiles(trajectories.terminals))
    if sum(not run.scoring.is_known(name) for name in smiles) > run.calls_left:
        return None
    drawn, log_weights = _weighted(run, trajectories)
    # what stands for the log of a score of zero in training is no part of Z
    positive = run.reward.positive(run.merged.smiles(drawn))
    if not positive.any():
        return math.nan, math.nan, WeightedDraws(log_weights).ess
    log_weights[~positive] = -np.inf
    estimate = WeightedDraws(log_weights).estimate()
    return estimate.log_z, estimate.standard_error, estimate.ess
