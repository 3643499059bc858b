"""The first part of ``phylogfn sample``: starting trees, fitted parameters and the first walk."""

from __future__ import annotations

import math
import time

import numpy as np
from scipy.special import logsumexp

from gfncore.program.messages import Note
from phylogfn.exploration.agreement import compare_searches
from phylogfn.exploration.starting_trees import overdispersed_starts
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.exploration.walks import BLOCK, N_REPLICAS, Walkers
from phylogfn.likelihood.collapsed import MAX_SWEEPS, CollapsedReward
from phylogfn.likelihood.integrals import Collapsed
from phylogfn.likelihood.model_fit import fit_model
from phylogfn.runs.sample.run import SampleRun
from phylogfn.runs.sample.state import RunState
from phylogfn.trees.tree import Tree

__all__ = ["compare", "started", "walk", "warn_of_pace"]


def started(run: SampleRun) -> RunState:
    """Starting trees, and the free parameters at their posterior mode on the best of them.

    They are fitted by the first of several runs: the closed forms of others would be of other
    models.
    """
    effort = run.effort
    run.phase("building starting trees")
    theta = run.spec.start(run.patterns) if run.theta is None else run.theta
    reward = run.reward(theta)
    run.check_memory(reward)
    run.check_budget(reward)
    began = run.seconds()  # the loading of libraries may have taken this share already

    def late() -> bool:
        if run.seconds() - began > effort.starts_share * run.settings.budget_seconds:
            run.warn_of_clock("the construction of starting trees")
            return True
        return False

    starts = overdispersed_starts(
        run.patterns, N_REPLICAS, run.rng("starts"), late, run.constraints
    )
    fit = _fitted(run, reward, starts, None)
    if run.spec.n_free and run.theta is None:
        best = int(np.argmax(fit.log_evidence))
        run.phase("fitting the model's parameters on the best starting tree")
        tree = Tree.from_parents(starts[best].astype(np.int32), fit.lengths[best])
        share = effort.fit_share
        theta = fit_model(
            run.spec,
            run.patterns,
            tree,
            branch_prior=reward.branch_prior,
            with_prior=True,
            until=lambda: run.past(share),
        ).theta
        if run.past(share):
            run.warn(
                Note(
                    "fit-time-limit",
                    f"the fit of the model parameters reached its time limit ({share:.0%} of "
                    f"{run.settings.budget}); the values may not be the mode",
                )
            )
        reward = run.reward(theta)
        fit = _fitted(run, reward, starts, fit.lengths)
    table = TopologyTable(run.alignment.n_taxa)
    walkers = Walkers.start(reward, table, starts, run.rng("walk"), fit)
    return RunState(
        table,
        walkers,
        theta,
        checksum=run.checksum,
        constraint_checksum=run.constraint_checksum,
    )


def _fitted(
    run: SampleRun, reward: CollapsedReward, starts: np.ndarray, lengths: np.ndarray | None
) -> Collapsed:
    """Closed forms of the starting trees, in as many Newton steps as there is time for."""
    effort = run.effort
    a_sweep = run.seconds_an_evaluation(reward) * len(starts) / run.settings.n_threads
    seconds = max(run.left(effort.fit_share), effort.sweeps_share * run.settings.budget_seconds)
    affordable = int(seconds / a_sweep)
    if affordable < MAX_SWEEPS:
        run.warn_of_clock("the optimisation of branch lengths of the starting trees")
    sweeps = min(MAX_SWEEPS, max(effort.fewest_sweeps, affordable))
    return reward.closed_form(starts, lengths, sweeps)


def walk(run: SampleRun, state: RunState) -> None:
    """The first walk: until it finds little that is new, and its two searches agree."""
    effort = run.effort
    if not state.draws_from_prior:
        run.phase("walking over topologies")
    table, walkers = state.table, state.walkers
    prior = walkers.reward.log_topology_prior
    burn_in = _burn_in(run.alignment.n_taxa)
    saved = time.monotonic()

    def out_of_time() -> bool:
        return run.past(effort.walk_share, state)

    if walkers.keep_pace(
        effort.round_share * run.settings.budget_seconds,
        run.seconds_an_evaluation(walkers.reward),
        run.settings.n_threads,
    ):
        warn_of_pace(run, walkers)
    most = 0 if state.draws_from_prior else burn_in + effort.walk_most
    while (
        not (_found_all(state) and _enough_hits(run, state))
        and state.blocks < most
        and state.cycles == 0
    ):
        if out_of_time() and table.visits.any():
            run.warn(
                Note(
                    "walk-time-limit",
                    f"the walk reached its time limit ({effort.walk_share:.0%} of "
                    f"{run.settings.budget})"
                    + (" during burn-in" if state.blocks < burn_in else "")
                    + "; results of the same seed may differ between machines",
                )
            )
            break
        counted = state.blocks >= burn_in
        before = walkers.rounds
        walked = walkers.run(effort.walk_batch, until=out_of_time, scouts_only=_found_all(state))
        # where the time is up there will be no others whose visits count
        walkers.absorb(walked, table, counted or out_of_time())
        state.blocks += walkers.rounds - before
        state.log_mass.append(float(np.asarray(logsumexp(table.log_evidence))))
        if counted and state.blocks >= burn_in + 4 * effort.walk_batch:
            gained = 1.0 - math.exp(state.log_mass[-3] - state.log_mass[-1])
            state.settled = gained < effort.settled
            compare(run, state)
        run.progress.update(
            detail=f"{len(table)} topologies, best {table.log_evidence.max() + prior:.2f}"
        )
        if time.monotonic() - saved > effort.checkpoint_seconds:
            state.save(run.checkpoint, run.clock, run.settings.origin())
            saved = time.monotonic()
    run.sampler.prepare(run, state)


def _burn_in(n_taxa: int) -> int:
    """Rounds before visits count."""
    return max(2, math.ceil(20 * n_taxa / BLOCK))


def _found_all(state: RunState) -> bool:
    """Return whether nothing suggests that the searches missed a part of the posterior."""
    return state.settled and state.agreement is not None and state.agreement.agree


def _enough_hits(run: SampleRun, state: RunState) -> bool:
    """Return whether enough scouts have reached the best topology to trust that it is the best."""
    best = float(state.table.log_evidence.max())
    return state.walkers.hits(best) >= run.effort.hits


def compare(run: SampleRun, state: RunState) -> None:
    """Compare what the two searches have found so far."""
    rng = run.rng("searches", state.blocks, state.cycles)
    state.agreement = compare_searches(state.table, rng)


def warn_of_pace(run: SampleRun, walkers: Walkers) -> None:
    """Warn that the walks exchange their trees more often than their seed alone would have it."""
    run.warn(
        Note(
            "small-budget-walks",
            f"the budget of {run.settings.budget} is small for these data: the walks exchange "
            f"their trees every {walkers.block} steps instead of {BLOCK}; results of the same "
            "seed may differ between machines",
        )
    )
