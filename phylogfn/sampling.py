"""``phylogfn sample``: from an alignment to a posterior over trees that states its own accuracy.

    starts -> walks -> environment -> training beside more walks, in cycles -> draws -> files

All decisions but one depend on what was found and not on the clock, so that a seed reproduces the
files; the one is the end of the budget, and the user is told when it struck.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import logsumexp

from gfncore.checkpoint import restore_trainer
from gfncore.errors import UserError
from gfncore.evaluation.object_probability import log_object_probabilities
from gfncore.metrics import MetricsWriter
from gfncore.output import clear_output, write_atomic
from gfncore.policies import ValueSpec
from gfncore.provenance import command_line, record_provenance
from phylogfn.alignment import compress
from phylogfn.attachment_rates import AttachmentRates
from phylogfn.backward_learning import make_backward_policy
from phylogfn.citations import ALWAYS_CITED, methods_of_environment, methods_of_model
from phylogfn.cli.config import resolve_settings, settings_toml
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.environments.merging_lengths import MergingLengthsEnvironment
from phylogfn.estimate import (
    BATCH,
    PATHS,
    Drawn,
    Estimate,
    LengthSamples,
    draw,
    estimate,
    sample_lengths,
    sample_topologies,
)
from phylogfn.evidence import CollapsedReward
from phylogfn.forest_features import ForestFeatures
from phylogfn.join_rates import JoinRates
from phylogfn.kernels.forest_lengths_numba import FEATURES
from phylogfn.learning import (
    Curriculum,
    TreeEnvironment,
    make_curriculum,
    make_policy,
    make_trainer,
)
from phylogfn.length_answer import lengths_posterior
from phylogfn.length_estimate import DrawnTrees, divergence, draw_trees, estimate_trees
from phylogfn.length_learning import LengthsCurriculum, posterior_lengths
from phylogfn.likelihood import TreeLikelihood
from phylogfn.model_fit import fit_model
from phylogfn.models import parse_model
from phylogfn.posterior import Posterior
from phylogfn.random_trees import RandomTrees
from phylogfn.run import AlignmentRun
from phylogfn.run_state import RunState, read_state
from phylogfn.search import BLOCK, LADDER, Block, Walkers
from phylogfn.settings import SampleSettings, parse_length_bins
from phylogfn.starting_trees import overdispersed_starts
from phylogfn.taxon_order import taxon_order
from phylogfn.topologies import TopologyTable, taxon_codes
from phylogfn.tree import Tree
from phylogfn.writers import OUTPUT_NAMES, RunFacts, write_results

if TYPE_CHECKING:
    from gfncore.progress import Progress

__all__ = ["open_run", "run_sample"]

WALK_BATCH = 5  # blocks between looks at what was found
WALK_MOST = 160  # blocks of the first walk
WALK_SHARE = 0.35  # of the budget, the most that the first walk takes
SETTLED = 0.002  # share of the table's mass that two batches may add when the walk has settled
CYCLE_BLOCKS = 6  # blocks walked beside each cycle of training
CYCLE_STEPS = 60
FEWEST_STEPS = 10  # of a cycle, even if the time is up
RATES_AT_CYCLES = (0, 2, 5, 10)  # before which the attachment rates are counted
OWN_DRAWS_EVERY = 6  # steps from one with own draws to the next, once there are any
TRAIN_SHARE = 0.82  # of the budget, after which training ends
# of the budget, from which on the learning rates of merging fall to `LAST_RATE` of what they were:
# the noise of its histories is then averaged out. Insertion gained nothing by it
SETTLE_FROM = 0.45
LAST_RATE = 0.02
PILOT = 2000  # draws that judge a cycle
FEWEST_CYCLES = 3
ACCURATE = (
    0.008  # standard error of log evidence, nats, with the most draws, at which training ends
)
ACCURATE_SHARE = 0.5  # effective share of the draws at which training ends
FIRST_GUESS = 1.0  # nats by which the evidence is thought larger than the table's, before training
MISSED = 0.1  # KL from what is known to the sampler, nats, at which training ends
RANKED = 0.98  # correlation of log q with log R over random trees, at which training may end
TEMPERATURES = (1.0, 1.15, 1.3, 1.5)  # of the trained sampler, tried in this order
SHARP_ENOUGH = 0.5  # effective share at which no further one is tried
FEWEST_DRAWS, MOST_DRAWS = 2000, 20000
DRAWS_SHARE = 0.25  # of a budget that is used up, which further draws may take
FEWEST_TOPOLOGIES, MOST_TOPOLOGIES = 1000, 8000  # that correct the closed form
LISTED = 20000  # topologies in the table of results, at most
CHECKPOINT_SECONDS = 30.0
# the same for trees drawn with their lengths, whose weights vary more and cost more
LENGTHS_CYCLE_STEPS = 120
LENGTHS_PILOT = 500
LENGTHS_MOST_DRAWS = 8000
LENGTHS_ACCURATE = 0.03
LENGTHS_ACCURATE_SHARE = 0.3
LENGTHS_MISSED = 1.0
LENGTHS_JUDGED = 200  # trees of the teacher on which the divergence is measured
SEEDS = {
    "starts": 1,
    "walk": 2,
    "policy": 3,
    "training": 4,
    "pilot": 5,
    "draws": 6,
    "files": 7,
    "temperature": 8,
    "features": 9,
    "lengths": 10,
    "random trees": 11,
}


class _Run(AlignmentRun):
    """One run: the settings, the data, and what was found."""

    SEEDS = SEEDS
    settings: SampleSettings

    def __init__(self, settings: SampleSettings, progress: Progress):
        if settings.backward_policy == "learned" and settings.environment != "merging":
            raise UserError(
                "--backward-policy learned: only with --environment merging; by insertion a "
                "topology has one history, and there is nothing to choose on the way back"
            )
        if settings.branch_lengths != "collapsed" and settings.environment != "merging":
            raise UserError(
                f"--branch-lengths {settings.branch_lengths}: only with --environment merging; by "
                "insertion the length of a branch changes whenever a taxon comes to stand on it"
            )
        standard = type(settings).model_fields["length_bins"].default
        if settings.branch_lengths != "bins" and settings.length_bins != standard:
            raise UserError("--length-bins: only with --branch-lengths bins")
        if settings.random_trees and settings.branch_lengths != "collapsed":
            raise UserError("--random-trees: only with branch lengths integrated out")
        super().__init__(settings, progress)
        self.with_lengths = settings.branch_lengths != "collapsed"
        self.spec = parse_model(settings.model, self.alignment.alphabet.name)
        self.patterns = compress(self.alignment)
        self.spec = self.spec.resolve(self.patterns)
        for note in self.alignment.notes:
            self.warn(note)

    def reward(self, theta: np.ndarray) -> CollapsedReward:
        """The collapsed reward at some values of the free parameters."""
        likelihood = TreeLikelihood(self.patterns, self.spec.build(theta))
        return CollapsedReward(likelihood, self.settings.branch_rate, self.settings.n_threads)


def run_sample(settings: SampleSettings, progress: Progress) -> None:
    """Run and write all files.

    Raises
    ------
    UserError
        The alignment, the model or the device will not do.
    """
    torch.set_num_threads(1)  # the second core walks; intra-op threads would make sums depend on it
    run = _Run(settings, progress)
    if not settings.resume:
        clear_output(settings.output, OUTPUT_NAMES)
        write_atomic(settings.output / "run.toml", settings_toml(settings))
    state = _resumed(run) if settings.resume else None
    if state is None:
        state = _started(run)
    _walk(run, state)
    environment = _environment(run, state)
    curves = settings.output / "train.jsonl"
    with MetricsWriter(curves, _steps(state), settings.tensorboard_directory) as metrics:
        _train(run, state, environment, metrics)
    _finish(run, state, environment)


def open_run(output: Path, progress: Progress) -> tuple[CollapsedReward, TreeEnvironment, RunState]:
    """A run as its checkpoint has it, to ask its sampler for probabilities.

    Raises
    ------
    UserError
        There is no run that got as far as training, or its sampler draws trees with lengths.
    """
    run = _Run(resolve_settings({"output": output, "resume": True}), progress)
    state = _resumed(run)
    if state is None or state.trainer is None:
        raise UserError(f"{output}: no trained sampler here; run phylogfn sample --resume first")
    if run.with_lengths:
        raise UserError(f"{output}: the sampler there draws trees with lengths, not topologies")
    return state.walkers.reward, _environment(run, state), state


def _steps(state: RunState) -> int:
    return state.trainer.step_number if state.trainer is not None else 0


def _resumed(run: _Run) -> RunState | None:
    saved = read_state(run.checkpoint)
    if saved is None:
        run.progress.note("interrupted before its first checkpoint: starting again")
        return None
    run.check_same_alignment(saved.extra["checksum"])
    state = RunState.restore(saved, run.reward(saved.arrays["theta"]))
    run.progress.spent_before = state.seconds
    if saved.has_trainer:
        environment = _environment(run, state)
        state.trainer = _new_trainer(run, state, environment)
        restore_trainer(saved, state.trainer)
    return state


def _started(run: _Run) -> RunState:
    """Starting trees, and the free parameters at their maximum on the best of them."""
    run.progress.phase("building starting trees")
    rng = run.rng("starts")
    starts = overdispersed_starts(run.patterns, len(LADDER), rng)
    theta = run.spec.start(run.patterns)
    reward = run.reward(theta)
    if run.spec.n_free:
        fit = reward.closed_form(starts)
        best = int(np.argmax(fit.log_evidence))
        run.progress.phase("fitting the model's parameters on the best starting tree")
        tree = Tree.from_parents(starts[best].astype(np.int32), fit.lengths[best])
        theta = fit_model(run.spec, run.patterns, tree).theta
        reward = run.reward(theta)
    table = TopologyTable(run.alignment.n_taxa)
    walkers = Walkers.start(reward, table, starts, run.rng("walk"))
    return RunState(table, walkers, theta, checksum=run.checksum)


def _burn_in(n_taxa: int) -> int:
    """Blocks before visits count."""
    return max(2, math.ceil(20 * n_taxa / BLOCK))


def _walk(run: _Run, state: RunState) -> None:
    """The first walk: until it finds little that is new."""
    run.progress.phase("walking over topologies")
    table, walkers = state.table, state.walkers
    prior = walkers.reward.log_topology_prior
    burn_in = _burn_in(run.alignment.n_taxa)
    saved = time.monotonic()

    def out_of_time() -> bool:
        return run.seconds(state) > WALK_SHARE * run.settings.budget_seconds

    while not state.settled and state.blocks < burn_in + WALK_MOST and state.cycles == 0:
        if out_of_time() and table.visits.any():
            run.warn(
                f"its share of the budget of {run.settings.budget} ended the first walk"
                + (", which still came from its starting trees" if state.blocks < burn_in else "")
                + ": with the same seed, files may differ between machines"
            )
            break
        counted = state.blocks >= burn_in
        walked = walkers.run(WALK_BATCH, until=out_of_time)
        # where the time is up there will be no others whose visits count
        walkers.absorb(walked, table, counted or out_of_time())
        state.blocks += len(walked) // len(LADDER)
        state.log_mass.append(float(logsumexp(table.log_evidence)))
        if counted and state.blocks >= burn_in + 4 * WALK_BATCH:
            gained = 1.0 - math.exp(state.log_mass[-3] - state.log_mass[-1])
            state.settled = gained < SETTLED
        run.progress.update(
            detail=f"{len(table)} topologies, best {table.log_evidence.max() + prior:.2f}"
        )
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            state.save(run.checkpoint, run.watch.elapsed())
            saved = time.monotonic()
    if state.order is None and run.settings.environment == "insertion":
        relative = np.exp(table.log_evidence - table.log_evidence.max())
        state.order = taxon_order(table.parents, relative, taxon_codes(run.alignment.n_taxa))


def _environment(run: _Run, state: RunState) -> TreeEnvironment:
    if state.trainer is not None:  # its own: the rates there must not have a twin
        environment = state.trainer.environment
        assert isinstance(environment, InsertionEnvironment | MergingEnvironment)
        return environment
    reward = state.walkers.reward

    if run.with_lengths:
        with_lengths = MergingLengthsEnvironment(
            _features(run, state),
            run.alignment.n_taxa,
            lambda trees, own: reward.log_likelihoods(trees, own) + reward.log_priors(own),
            run.settings.branch_rate,
        )
        if isinstance(state.rates, JoinRates):
            with_lengths.rates = state.rates
        if state.length_rates is not None:
            with_lengths.length_rates = state.length_rates
        return with_lengths

    def log_reward(trees: np.ndarray) -> np.ndarray:
        rows = reward.look_up(state.table, trees)
        return state.table.log_evidence[rows] + reward.log_topology_prior

    if run.settings.environment == "merging":
        features = _features(run, state)
        merging = MergingEnvironment(features, run.alignment.n_taxa, log_reward)
        if isinstance(state.rates, JoinRates):
            merging.rates = state.rates
        return merging
    assert state.order is not None
    insertion = InsertionEnvironment(state.order, log_reward)
    if isinstance(state.rates, AttachmentRates):
        insertion.rates = state.rates
    return insertion


def _features(run: _Run, state: RunState) -> ForestFeatures:
    """What the policy reads of rooted trees: set once, and kept in the checkpoint."""
    model = state.walkers.reward.likelihood.model_arrays
    table = state.table
    best = int(np.argmax(table.log_evidence))
    if state.branch_length is None:
        state.branch_length = float(table.lengths[best, 1:].mean())
    keep = math.exp(-model.beta * state.branch_length)
    features = ForestFeatures(run.patterns, model.freqs, keep, state.projection, model.beta)
    if state.projection is None:
        relative = np.exp(table.log_evidence - table.log_evidence.max())
        rng = run.rng("features")
        rows = rng.choice(len(table), 200, p=relative / relative.sum())
        features.fit(table.parents[rows], rng)
        state.projection = features.projection
    return features


def _new_trainer(run: _Run, state: RunState, environment: TreeEnvironment):
    seed = int(run.rng("policy").integers(2**31))
    lengths = None
    if run.with_lengths:
        bins = parse_length_bins(run.settings.length_bins)
        lengths = ValueSpec(run.settings.branch_lengths, FEATURES, *bins)
    policy = make_policy(environment, seed, run.device, lengths=lengths)
    log_z = float(logsumexp(state.table.log_evidence)) + state.walkers.reward.log_topology_prior
    pool = state.walkers.reward.pool if run.settings.n_threads > 1 else None
    backward = None
    if run.settings.backward_policy == "learned":
        assert isinstance(environment, MergingEnvironment)  # checked before anything was done
        backward = make_backward_policy(environment, seed + 1, run.device)
    return make_trainer(
        environment, policy, log_z, run.rng("training"), pool, backward_policy=backward
    )


def _train(
    run: _Run, state: RunState, environment: TreeEnvironment, metrics: MetricsWriter
) -> None:
    """Cycles of training beside further walks, until the answer is accurate or the time is up."""
    run.progress.phase("training the sampler")
    walkers, settings = state.walkers, run.settings
    if state.trainer is None:
        state.trainer = _new_trainer(run, state, environment)
        state.log_correction = 0.0 if run.with_lengths else _correction(run, state)
        state.save(run.checkpoint, run.watch.elapsed())
    random_trees = _random_trees(run, state, environment)
    curriculum = _curriculum(run, state, environment, random_trees)
    falls = random_trees is not None or isinstance(environment, MergingEnvironment)
    saved = time.monotonic()
    with ThreadPoolExecutor(1) as beside:
        while not state.accurate:
            if state.cycles and _out_of_time(run, state):
                run.warn(
                    f"the budget of {settings.budget} ended the training before the accuracy aimed "
                    "for was reached: with the same seed, files may differ between machines"
                )
                state.save(run.checkpoint, run.watch.elapsed())  # to go on from with more time
                break
            curriculum.refresh(_unknown_log_z(state))
            if state.cycles in RATES_AT_CYCLES:
                curriculum.set_rates()
                state.rates = environment.rates
                if isinstance(environment, MergingLengthsEnvironment):
                    state.length_rates = environment.length_rates
            walking: Future | None = None
            if settings.n_threads > 1:
                walking = beside.submit(walkers.run, CYCLE_BLOCKS, False)
            _teach(run, state, curriculum, falls, metrics)
            walked = walking.result() if walking else walkers.run(CYCLE_BLOCKS, False)
            _judge(run, state, environment, walked, random_trees, metrics)
            if state.accurate or time.monotonic() - saved > CHECKPOINT_SECONDS:
                state.save(run.checkpoint, run.watch.elapsed())
                saved = time.monotonic()


def _out_of_time(run: _Run, state: RunState) -> bool:
    """Whether training has had its share of the budget."""
    return run.seconds(state) > TRAIN_SHARE * run.settings.budget_seconds


def _teach(
    run: _Run, state: RunState, curriculum: Curriculum, falls: bool, metrics: MetricsWriter
) -> None:
    """The steps of a cycle; `falls` says whether learning rates fall towards the end."""
    trainer, settings = state.trainer, run.settings
    assert trainer is not None
    for step in range(LENGTHS_CYCLE_STEPS if run.with_lengths else CYCLE_STEPS):
        if falls:
            factor = _rate_factor(run.seconds(state), settings)
            if factor < 1.0 and trainer.rate_factor == 1.0:
                run.warn(
                    f"the run took {SETTLE_FROM:.0%} of the budget, learning rates fall "
                    "from there on: with the same seed, files may differ between machines"
                )
            trainer.rate_factor = factor
        own = state.cycles > 0 and step % OWN_DRAWS_EVERY == 0
        metrics.write(curriculum.teach(trainer, own))
        # with many taxa a cycle may be longer than what is left
        if step + 1 >= FEWEST_STEPS and _out_of_time(run, state):
            break


def _judge(
    run: _Run,
    state: RunState,
    environment: TreeEnvironment,
    walked: list[Block],
    random_trees: RandomTrees | None,
    metrics: MetricsWriter,
) -> None:
    """End a cycle: what draws say of the sampler, and what the walk beside it found."""
    table, walkers, trainer = state.table, state.walkers, state.trainer
    assert trainer is not None
    n_known = len(table)
    pilots = LENGTHS_PILOT if run.with_lengths else PILOT
    drawn = _draw(state, environment, pilots, run.rng("pilot", state.cycles))
    found = _estimate(state, drawn, n_known)
    walkers.absorb(walked, table, True)
    state.cycles += 1
    state.known_share = found.known_share
    state.log_z = found.log_z - walkers.reward.log_topology_prior
    state.missed = _missed(run, state, environment, found)
    correlation = None if random_trees is None else random_trees.correlation
    state.accurate = (
        state.cycles >= FEWEST_CYCLES
        and _is_accurate(run, found, state)
        and (random_trees is None or (correlation or 0.0) > RANKED)
    )
    metrics.write(
        {
            "step": trainer.step_number,
            "seconds": trainer.seconds,
            "log_evidence": found.log_z + state.log_correction,
            "log_evidence_se": found.standard_error,
            "ess": found.ess,
            "pareto_k": found.pareto_k,
            **_of_the_known(run, state, found),
            **({} if correlation is None else {"random_trees_correlation": correlation}),
            "topologies": len(table),
        }
    )
    run.progress.update(
        log_evidence=found.log_z + state.log_correction,
        se=found.standard_error,
        ess=found.ess,
        detail=f"cycle {state.cycles}, {found.ess / pilots:.0%} of draws effective, "
        f"{len(table)} topologies",
    )


def _draw(
    state: RunState, environment: TreeEnvironment, n: int, generator: np.random.Generator
) -> Drawn:
    """Draws of the trained sampler, as it is averaged."""
    trainer = state.trainer
    assert trainer is not None
    policy, reward = trainer.averaged.policy, state.walkers.reward
    backward = trainer.backward_policy
    if isinstance(environment, MergingLengthsEnvironment):
        return draw_trees(environment, policy, reward, state.table, n, generator, backward)
    return draw(environment, policy, reward, state.table, n, generator, backward)


def _estimate(state: RunState, drawn: Drawn, n_known: int) -> Estimate:
    """The evidence that draws give; known topologies are the first of the table."""
    if isinstance(drawn, DrawnTrees):
        return estimate_trees(drawn, n_known)
    return estimate(drawn, state.table, n_known, state.walkers.reward.log_topology_prior)


def _curriculum(
    run: _Run,
    state: RunState,
    environment: TreeEnvironment,
    random_trees: RandomTrees | None,
) -> Curriculum:
    if isinstance(environment, MergingLengthsEnvironment):
        seed = int(run.rng("lengths").integers(2**31))
        return LengthsCurriculum(environment, state.table, state.walkers.reward, seed)
    return make_curriculum(environment, state.table, random_trees)


def _random_trees(run: _Run, state: RunState, environment: TreeEnvironment) -> RandomTrees | None:
    """Random trees, where the sampler is to learn from them."""
    if not run.settings.random_trees:
        return None
    seed = int(run.rng("random trees").integers(2**31))
    return RandomTrees(environment, state.walkers.reward, seed)


def _rate_factor(seconds: float, settings: SampleSettings) -> float:
    """Factor on learning rates, where they fall, after some seconds of the run."""
    left = TRAIN_SHARE - seconds / settings.budget_seconds
    return min(1.0, max(LAST_RATE, left / (TRAIN_SHARE - SETTLE_FROM)))


def _unknown_log_z(state: RunState) -> float | None:
    """Log evidence to hold the table against; None where the table has nearly all of it."""
    if state.cycles == 0:
        if state.settled:
            return None
        # not known yet: that the visits were hardly ever to the same topology says it is larger
        return float(logsumexp(state.table.log_evidence)) + FIRST_GUESS
    return None if state.known_share > 0.9 else state.log_z


def _is_accurate(run: _Run, found: Estimate, state: RunState) -> bool:
    pilots, most, error, share, missed = (
        (
            LENGTHS_PILOT,
            LENGTHS_MOST_DRAWS,
            LENGTHS_ACCURATE,
            LENGTHS_ACCURATE_SHARE,
            LENGTHS_MISSED,
        )
        if run.with_lengths
        else (PILOT, MOST_DRAWS, ACCURATE, ACCURATE_SHARE, MISSED)
    )
    projected = found.standard_error * math.sqrt(pilots / most)
    return projected < error and found.ess > share * pilots and state.missed < missed


def _missed(run: _Run, state: RunState, environment: TreeEnvironment, found: Estimate) -> float:
    """KL from the known topologies to the sampler, nats: draws alone cannot show a lost mode.

    Where trees have lengths, from the posterior on these topologies, with the evidence as found.
    """
    assert state.trainer is not None
    mass = np.exp(state.table.log_evidence - state.table.log_evidence.max())
    mass /= mass.sum()
    chooser = run.rng("pilot", 0, state.cycles)
    if isinstance(environment, MergingLengthsEnvironment):
        rows = chooser.choice(len(mass), LENGTHS_JUDGED, p=mass)
        lengths = posterior_lengths(
            state.walkers.reward, state.table, rows, int(chooser.integers(2**31))
        )
        trees = environment.terminals(state.table.parents[rows], lengths)
        trainer = state.trainer
        return divergence(
            environment,
            trainer.averaged.policy,
            trees,
            found.log_z,
            run.rng("pilot"),
            trainer.backward_policy,
        )
    rows = np.unique(chooser.choice(len(mass), 300, p=mass))
    share = mass[rows] / mass[rows].sum()
    terminals = environment.terminals(state.table.parents[rows])
    policy = state.trainer.averaged.policy
    backward = state.trainer.backward_policy
    rng = run.rng("pilot")
    log_q = log_object_probabilities(environment, policy, terminals, PATHS, rng, backward)
    return float(share @ (np.log(mass[rows]) - log_q))


def _correction(run: _Run, state: RunState) -> float:
    """A first estimate of the correction of the closed form, from the known topologies."""
    table = state.table
    rng = run.rng("pilot")
    mass = np.exp(table.log_evidence - table.log_evidence.max())
    rows = rng.choice(len(table), 64, p=mass / mass.sum())
    return sample_lengths(rows, table, state.walkers.reward, 1, rng).log_correction


def _finish(run: _Run, state: RunState, environment: TreeEnvironment) -> None:
    """Draws, evidence, files."""
    run.progress.phase("drawing from the sampler")
    settings, table, reward = run.settings, state.table, state.walkers.reward
    prior = reward.log_topology_prior
    rng = run.rng("draws")
    _soften(run, state, environment)
    n_known = len(table)
    began = time.monotonic()
    drawn = _draw(state, environment, FEWEST_DRAWS, rng)
    speed = FEWEST_DRAWS / (time.monotonic() - began)
    found = _estimate(state, drawn, n_known)
    # more draws where they are needed; their number is set by the first ones
    error, most = (
        (LENGTHS_ACCURATE, LENGTHS_MOST_DRAWS) if run.with_lengths else (ACCURATE, MOST_DRAWS)
    )
    wanted = math.ceil(FEWEST_DRAWS * (found.standard_error / error) ** 2 / BATCH) * BATCH
    more = min(wanted, most) - FEWEST_DRAWS
    if not state.accurate:  # the clock has had its say already
        left = settings.budget_seconds - run.seconds(state)
        fitting = speed * max(left, DRAWS_SHARE * settings.budget_seconds)
        if more > fitting:
            run.warn(
                f"the budget of {settings.budget} allowed {FEWEST_DRAWS + int(fitting):,} draws of "
                f"the {FEWEST_DRAWS + more:,} that the error calls for"
            )
            more = int(fitting)
    if more > 0:
        run.progress.update(detail=f"{more + FEWEST_DRAWS} draws")
        extra = _draw(state, environment, more, rng)
        drawn = type(drawn).concat([drawn, extra])
        found = _estimate(state, drawn, n_known)
    if isinstance(drawn, DrawnTrees):
        _write(run, state, _posterior_with_lengths(run, state, drawn, found))
        return
    run.progress.phase("drawing branch lengths")
    n_topologies = max(FEWEST_TOPOLOGIES, settings.samples)
    rows = sample_topologies(drawn, found, table, n_known, prior, n_topologies, rng)
    lengths = sample_lengths(rows, table, reward, settings.samples, rng)
    wanted = math.ceil(n_topologies * (lengths.standard_error / ACCURATE) ** 2)
    if wanted > n_topologies:
        n_topologies = min(wanted, max(MOST_TOPOLOGIES, n_topologies))
        rows = sample_topologies(drawn, found, table, n_known, prior, n_topologies, rng)
        lengths = sample_lengths(rows, table, reward, settings.samples, rng)
    posterior = _posterior(run, state, drawn, found, lengths)
    random_trees = _random_trees(run, state, environment)
    if random_trees is not None:
        assert state.trainer is not None
        ranked = random_trees.judge(state.trainer.averaged.policy, _steps(state))
        posterior.extra["random_trees_correlation"] = ranked
    _write(run, state, posterior)


def _write(run: _Run, state: RunState, posterior: Posterior) -> None:
    """All files."""
    settings, reward = run.settings, state.walkers.reward
    run.progress.phase("writing files")
    use = run.watch.usage()
    facts = RunFacts(
        command=command_line(),
        seed=settings.seed,
        alignment=settings.alignment,
        n_sites=run.alignment.n_sites,
        n_patterns=run.patterns.n_patterns,
        model=_model_text(run, state),
        branch_prior=settings.branch_prior,
        likelihood_evaluations=reward.evaluations,
        use=use,
        methods=(
            *ALWAYS_CITED,
            *methods_of_environment(settings.environment, settings.branch_lengths),
            *methods_of_model(settings.model),
        ),
        budget_seconds=settings.budget_seconds,
    )
    provenance = record_provenance(
        "phylogfn",
        parameters=settings.configured(),
        seed=settings.seed,
        threads=settings.n_threads,
        device=run.device,
        inputs=(settings.alignment,),
        use=use,
    )
    write_results(settings.output, posterior, facts, rng=run.rng("files"), provenance=provenance)
    run.progress.update(
        done=1.0,
        log_evidence=posterior.log_evidence,
        se=posterior.log_evidence_se,
        ess=posterior.ess,
        detail=f"{posterior.n_topologies} topologies listed",
    )


def _soften(run: _Run, state: RunState, environment: TreeEnvironment) -> None:
    """Set the temperature of the sampler that gives most effective draws, by draws of its own."""
    assert state.trainer is not None
    policy = state.trainer.averaged.policy
    table = state.table
    pilots = LENGTHS_PILOT if run.with_lengths else PILOT
    best = 0.0
    chosen = 1.0
    for i, temperature in enumerate(TEMPERATURES):
        if i and not state.accurate and run.seconds(state) > run.settings.budget_seconds:
            run.warn(
                f"the budget of {run.settings.budget} ended before softer samplers than that of "
                f"temperature {TEMPERATURES[i - 1]:g} were tried"
            )
            break
        policy.temperature = temperature
        n_known = len(table)
        rng = run.rng("temperature", i)
        drawn = _draw(state, environment, pilots, rng)
        found = _estimate(state, drawn, n_known)
        if found.ess > best:
            best, chosen = found.ess, temperature
        if found.ess > SHARP_ENOUGH * pilots:
            break
    policy.temperature = chosen


def _model_text(run: _Run, state: RunState) -> str:
    values = run.spec.describe(state.theta)
    if not values:
        return run.spec.name
    return run.spec.name + " (" + ", ".join(f"{k}={v:.5g}" for k, v in values.items()) + ")"


def _posterior(
    run: _Run, state: RunState, drawn: Drawn, found: Estimate, lengths: LengthSamples
) -> Posterior:
    """The answer with what the user should know of it."""
    table, walkers = state.table, state.walkers
    prior = walkers.reward.log_topology_prior
    log_mass = table.log_evidence + prior
    # topologies that the draws found may weigh more together than their number suggested
    log_total = max(found.log_z, float(logsumexp(log_mass)))
    best = np.argsort(-log_mass, kind="stable")[:LISTED]
    probabilities = np.exp(log_mass[best] - log_total)
    listed = probabilities > 1e-12
    best, probabilities = best[listed], probabilities[listed]
    _warn_of_parameters(run)
    return Posterior(
        names=run.alignment.names,
        draw_parents=table.parents[lengths.rows].astype(np.int32),
        draw_lengths=lengths.lengths,
        draw_log_likelihoods=lengths.log_likelihoods,
        draw_log_priors=walkers.reward.log_priors(lengths.lengths),
        topology_parents=table.parents[best].astype(np.int32),
        topology_probabilities=probabilities,
        topology_log_evidences=log_mass[best] + lengths.log_correction,
        log_evidence=found.log_z + lengths.log_correction,
        log_evidence_se=math.hypot(found.standard_error, lengths.standard_error),
        ess=found.ess,
        n_proposals=len(drawn.rows),
        pareto_k=found.pareto_k,
        warnings=tuple(run.warnings),
        extra={
            **_extra(run, state, drawn, found),
            "log_evidence_closed_form": found.log_z,
            "closed_form_se": found.standard_error,
            "branch_length_correction": lengths.log_correction,
            "branch_length_correction_se": lengths.standard_error,
            "branch_length_draws_effective_share": lengths.ess_share,
            "listed_probability": float(probabilities.sum()),
        },
    )


def _posterior_with_lengths(
    run: _Run, state: RunState, drawn: DrawnTrees, found: Estimate
) -> Posterior:
    """The answer where trees were drawn with their lengths."""
    _warn_of_parameters(run)
    posterior = lengths_posterior(
        run.alignment.names,
        drawn,
        found,
        state.walkers.reward,
        state.table,
        run.settings.samples,
        LISTED,
        run.rng("draws", 1),
    )
    return replace(posterior, warnings=tuple(run.warnings), extra=_extra(run, state, drawn, found))


def _warn_of_parameters(run: _Run) -> None:
    if run.spec.n_free:
        run.warn(
            f"the parameters of {run.spec.name} were set to their maximum on the best starting "
            "tree and held there: the evidence is conditional on them"
        )


def _of_the_known(run: _Run, state: RunState, found: Estimate) -> dict[str, float]:
    """How the known topologies stand to the answer: summed, or a yardstick alone."""
    if run.with_lengths:
        return {
            "share_of_known_topologies": found.known_share,
            "kl_posterior_to_sampler": state.missed,
        }
    return {"known_share": found.known_share, "kl_known_to_sampler": state.missed}


def _extra(run: _Run, state: RunState, drawn: Drawn, found: Estimate) -> dict[str, Any]:
    """What all ways to an answer say of the run in the summary."""
    trainer = state.trainer
    assert trainer is not None
    return {
        "environment": run.settings.environment,
        "branch_lengths": run.settings.branch_lengths,
        "effective_share_of_draws": found.ess / len(drawn.rows),
        **_of_the_known(run, state, found),
        "sampler_temperature": trainer.averaged.policy.temperature,
        "walk_steps": state.walkers.steps,
        "topologies_evaluated": len(state.table),
        "training_steps": _steps(state),
        "training_cycles": state.cycles,
        "training_seconds_by_part": {
            part: round(seconds, 3) for part, seconds in trainer.seconds_by_part.items()
        },
    }
