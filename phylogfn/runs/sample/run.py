"""What the training and the answer of ``phylogfn sample`` have in common: the run and its draws."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gfncore.errors import UserError
from gfncore.evaluation import PartitionEstimate
from gfncore.program.configuration import available_memory
from gfncore.program.messages import Note
from gfncore.program.metrics import MetricsWriter
from gfncore.program.progress import format_duration
from gfncore.text.hints import did_you_mean
from gfncore.text.numbers import shortened
from phylogfn.alignments.alignment import likelihood_notes, variable_sites
from phylogfn.alignments.ascertainment import check_ascertainment, conditioned_sites
from phylogfn.alignments.partitions.choice import PartitionChoice
from phylogfn.alignments.patterns import PartitionedPatterns, compress
from phylogfn.estimates.collapsed import Drawn, draw_from_prior
from phylogfn.exploration.walks import N_REPLICAS
from phylogfn.likelihood.branch_prior import parse_branch_prior
from phylogfn.likelihood.collapsed import CollapsedReward
from phylogfn.likelihood.joint.target import JointTarget
from phylogfn.likelihood.screening import is_auto
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.results.facts import KnownTopologies, SearchFacts
from phylogfn.runs.alignment_run import AlignmentRun
from phylogfn.runs.sample.effort import Aims, SampleEffort
from phylogfn.runs.sample.part_models import (
    candidates_of,
    check_parts,
    models_of_parts,
    partition_choice,
    spec_of_parts,
)
from phylogfn.samplers.registry import make_sampler
from phylogfn.sequences.named_clades import chosen_clades
from phylogfn.settings import SampleSettings
from phylogfn.training.random_trees import RandomTrees
from phylogfn.trees.constraints.reading import read_constraints
from phylogfn.trees.constraints.splits import Constraints
from phylogfn.trees.tree import Tree, random_topology

if TYPE_CHECKING:
    from gfncore.program.clock import RunClock
    from gfncore.program.progress import Progress
    from phylogfn.environments.base import TreeEnvironment
    from phylogfn.likelihood.screening import ScreenedModel
    from phylogfn.models import ModelSpec
    from phylogfn.runs.sample.state import RunState

__all__ = [
    "SampleRun",
    "draw_from_sampler",
    "known_topologies",
    "random_trees_of",
    "search_facts",
]


MEASURED_LENGTH = 0.05  # of the branches of the tree that the cost of a likelihood is measured on
MEASURED = 25  # likelihoods timed at the start, at most
MEASURED_DRAWS = 32  # likelihoods at given parameters and lengths that are timed
MEASURED_SECONDS = 0.25  # after which no further one is timed
LEAST_EVALUATIONS = 600  # of the likelihood, of the smallest part of every phase together
LEAST_SECONDS = 2.0  # that these parts take where a likelihood costs nothing
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
    "searches": 12,
    "runs": 13,
    "models": 14,
    "pooled": 15,
    "predictive": 21,
}


class SampleRun(AlignmentRun):
    """One run: the settings, the data, and what the user was told.

    Parameters
    ----------
    settings : SampleSettings
    progress : Progress
    command : str, optional
        How the run was started. Default: the command line of this process.
    effort : SampleEffort, optional
        How much is done. Default: that of the command line.

    Raises
    ------
    UserError
        The alignment, the model, the device or the combination of settings cannot be used.
    """

    SEEDS = SEEDS
    settings: SampleSettings
    models: tuple[str, ...]
    """Names of the models whose evidences are compared; search and training use the first."""
    part_models: tuple[str, ...]
    """The model of each part of the alignment, in place of `models`; empty without parts."""
    kept_seconds: float
    """Time of the budget that is kept for the draws of parameters and lengths."""
    has_lent: bool
    """Whether training has had half of this time."""
    theta: np.ndarray | None
    """Free parameters of the model that an earlier run has fitted; None: they are to be fitted."""

    def __init__(
        self,
        settings: SampleSettings,
        progress: Progress,
        command: str | None = None,
        effort: SampleEffort | None = None,
    ) -> None:
        standard = type(settings).model_fields["length_bins"].default
        if settings.branch_lengths != "bins" and settings.length_bins != standard:
            raise UserError("--length-bins: needs --branch-lengths bins")
        self.sampler = make_sampler(settings)
        super().__init__(settings, progress, command)
        self.ancestral_clades = chosen_clades(settings.ancestral, self.alignment.names)
        self.effort = SampleEffort() if effort is None else effort
        self.with_lengths = settings.branch_lengths != "collapsed"
        self.patterns = compress(self.alignment)
        # of several candidates the first, until one is chosen (`runs.sample.model_choice`)
        kind = self.alignment.alphabet.name
        self.models: tuple[str, ...] = (
            candidates_of(self.alignment)[:1] if is_auto(settings.model) else (settings.model,)
        )
        self.part_models = models_of_parts(self.alignment, settings)
        check_parts(settings, self.alignment, self.patterns, self.sampler.parts)
        self.screened: tuple[ScreenedModel, ...] = ()
        if is_auto(settings.model):
            _check_names(settings.priors or {}, candidates_of(self.alignment), kind)
        self.spec = self.spec_of(self.models[0])
        check_ascertainment(self.spec, self.alignment)
        conditioned = conditioned_sites(self.spec, self.alignment)
        for note in (*self.alignment.notes, *likelihood_notes(self.alignment, conditioned)):
            self.warn(note)
        self.constraints: Constraints | None = None
        if settings.constraint is not None:
            self.constraints = read_constraints(settings.constraint, self.alignment.names)
            for note in self.constraints.notes:
                self.progress.note(f"{self.constraints.source}: {note}")
        # the posterior is so near to the prior that its draws are better than those of a sampler
        says_nothing = not variable_sites(self.alignment.masks).any()
        self.draws_from_prior = says_nothing and not self.with_lengths
        self._seconds_an_evaluation: float | None = None
        self.kept_seconds, self.has_lent = 0.0, False
        self.theta: np.ndarray | None = None

    def spec_of(self, model: str) -> ModelSpec:
        """Return a model with the observed frequencies and the priors of the settings.

        Where the model is chosen by the program, a prior concerns the candidates that have its
        parameter.
        """
        if isinstance(self.patterns, PartitionedPatterns) and self.part_models:
            spec = spec_of_parts(
                self.alignment, self.patterns, self.part_models, self.settings.link
            )
            return spec.with_priors(self.settings.priors or {})
        spec = parse_model(model, self.alignment.alphabet.name).resolve(self.patterns)
        priors = self.settings.priors or {}
        if is_auto(self.settings.model):
            free = {parameter.name for parameter in spec.parameters}
            priors = {name: prior for name, prior in priors.items() if name in free}
        return spec.with_priors(priors)

    def partition_choice(self) -> PartitionChoice:
        """Return how the columns are divided by the settings."""
        return partition_choice(self.settings)

    def reward(self, theta: np.ndarray, spec: ModelSpec | None = None) -> CollapsedReward:
        """The collapsed reward at some values of the free parameters (of another model)."""
        likelihood = TreeLikelihood(self.patterns, (spec or self.spec).build(theta))
        prior = parse_branch_prior(self.settings.branch_prior)
        return CollapsedReward(likelihood, prior, self.settings.n_threads, self.constraints)

    @property
    def constraint_checksum(self) -> str:
        """Checksum of the splits of the constraint; empty if there is none."""
        return "" if self.constraints is None else self.constraints.checksum()

    def check_same_constraint(self, checksum: str) -> None:
        """Refuse to resume with other constraints than the run began with.

        Parameters
        ----------
        checksum : str
            `constraint_checksum` of the run then.

        Raises
        ------
        UserError
            The splits have changed.
        """
        if checksum != self.constraint_checksum:
            raise UserError(
                f"{self.settings.constraint}: differs from the constraint with which the run in "
                f"{self.settings.output} started; restore that file, or start a new run"
            )

    def seconds_an_evaluation(self, reward: CollapsedReward) -> float:
        """Seconds that a likelihood of a tree with derivatives takes a thread; measured once."""
        if self._seconds_an_evaluation is None:
            tree = random_topology(self.alignment.n_taxa, np.random.default_rng(0))
            tree = Tree(tree.parent, tree.children, np.full(tree.parent.size, MEASURED_LENGTH))
            taken: list[float] = []
            reward.likelihood.derivatives(tree)  # the first call loads what was compiled
            while len(taken) < MEASURED and sum(taken) < MEASURED_SECONDS:
                began = self.clock.seconds()
                reward.likelihood.derivatives(tree)
                taken.append(self.clock.seconds() - began)
            # the median, as other programs may interrupt one of them for long
            self._seconds_an_evaluation = float(np.median(taken))
        return self._seconds_an_evaluation

    def keep_for_lengths(self, reward: CollapsedReward, theta: np.ndarray) -> None:
        """Keep time for the draws of parameters and branch lengths, from their measured cost."""
        if self.with_lengths or not self.spec.n_free:
            return
        target = JointTarget(self.spec, reward, theta)
        tree = random_topology(self.alignment.n_taxa, np.random.default_rng(0))
        at = np.full(target.n_parameters + len(tree.parent) - 1, np.log(MEASURED_LENGTH))
        at[: target.n_parameters] = target.to_phi @ target.theta
        points = np.repeat(at[None], MEASURED_DRAWS, axis=0)
        target.log_densities(tree, points[:1])  # not timed, as it may load the kernel
        began = self.clock.seconds()
        target.log_densities(tree, points)
        a_draw = (self.clock.seconds() - began) / len(points)
        n_draws = self.effort.fewest_length_draws * len(self.models)
        self.kept_seconds = min(
            self.effort.length_draws_factor * n_draws * a_draw,
            self.effort.kept_share * self.settings.budget_seconds,
        )

    def past_for_topologies(self, share: float, state: object) -> bool:
        """Whether a share of the budget without the time kept for lengths is used up."""
        return self.left_for_topologies(share, state) == 0.0

    def left_for_topologies(self, share: float, state: object) -> float:
        """Seconds until then, 0 or more."""
        seconds = share * (self.settings.budget_seconds - self.kept_seconds)
        return max(0.0, seconds - self.seconds(state))

    def least_seconds(self, reward: CollapsedReward) -> float:
        """Seconds that the smallest part of every phase takes, the time used so far included."""
        cost = self.seconds_an_evaluation(reward) * LEAST_EVALUATIONS / self.settings.n_threads
        return self.seconds() + LEAST_SECONDS + cost

    def check_memory(self, reward: CollapsedReward) -> None:
        """Refuse a model whose partial likelihoods need more memory than there is.

        Raises
        ------
        UserError
            With the memory needed and the memory of the machine.
        """
        needed = reward.likelihood.workspace_bytes() * min(self.settings.n_threads, N_REPLICAS)
        available = available_memory()
        if available is not None and needed > available:
            raise UserError(
                f"model '{self.spec.name}': {self.alignment.n_taxa} taxa and "
                f"{self.patterns.n_patterns:,} patterns need about {needed / 2**30:.1f} GiB of "
                f"memory with --threads {self.settings.n_threads}, and this machine has "
                f"{available / 2**30:.1f} GiB; use fewer categories or profiles, or fewer threads"
            )

    def check_budget(self, reward: CollapsedReward) -> None:
        """Warn at the start where not even the smallest part of each phase fits into the budget."""
        least = self.least_seconds(reward)
        if least > self.settings.budget_seconds:
            self.warn(
                Note(
                    "budget-too-small",
                    f"the budget of {self.settings.budget} is too small for "
                    f"{self.alignment.n_taxa} taxa and {self.patterns.n_patterns:,} patterns by "
                    f"{self.spec.name}: the run will take about {format_duration(least)} even "
                    "with the minimum of search and training; give a budget several times larger",
                )
            )

    def part(self, number: int, budget_seconds: float, samples: int, clock: RunClock) -> SampleRun:
        """Return one of several runs on the same data.

        Parameters
        ----------
        number : int
            From 1; another number gives other random numbers.
        budget_seconds : float
        samples : int
            Number of posterior draws.
        clock : RunClock
            Measures the time of this run alone.
        """
        part = copy.copy(self)
        part.number, part.clock, part.warnings = number, clock, list(self.warnings)
        # whole seconds are enough, and are what messages should say
        seconds = f"{budget_seconds:.0f}s" if budget_seconds >= 20.0 else f"{budget_seconds:.1f}s"
        part.settings = self.settings.model_copy(update={"budget": seconds, "samples": samples})
        part.checkpoint = self.checkpoint_of(number)
        part.kept_seconds, part.has_lent = 0.0, False
        return part

    def checkpoint_of(self, number: int) -> Path:
        """Return the directory of the checkpoint of one of several runs, counted from 1."""
        return self.checkpoint if number == 1 else self.checkpoint / f"run{number}"

    def metrics(self, after_step: int) -> MetricsWriter:
        """Return the writer of ``train.jsonl``, which continues after a step."""
        board = self.settings.tensorboard_directory
        if board is not None and self.number is not None:
            board /= f"run{self.number}"
        curves = self.settings.output / "train.jsonl"
        return MetricsWriter(curves, after_step, board, self.number)

    @property
    def aims(self) -> Aims:
        """How the sampler of these settings is trained and judged."""
        return self.effort.with_lengths if self.with_lengths else self.effort.collapsed


def _check_names(priors: Mapping[str, str], candidates: tuple[str, ...], kind: str) -> None:
    """Refuse a prior on a parameter that no candidate for the model has."""
    specs = [parse_model(name, kind) for name in candidates]
    known = list(dict.fromkeys(p.name for spec in specs for p in spec.parameters))
    for name in priors:
        if name not in known:
            raise UserError(
                f"prior on '{shortened(name)}': free parameters of the candidates for the model "
                f"are {', '.join(known)}{did_you_mean(name, known)}"
            )


def draw_from_sampler(
    run: SampleRun,
    state: RunState,
    environment: TreeEnvironment,
    n: int,
    generator: np.random.Generator,
    until: Callable[[], bool] | None = None,
) -> Drawn:
    """Draws of the trained sampler, as it is averaged; fewer than n where ``until`` ends them."""
    if state.draws_from_prior:
        return draw_from_prior(state.walkers.reward, state.table, n, generator, until)
    return run.sampler.draw(state, environment, n, generator, until)


def random_trees_of(
    run: SampleRun, state: RunState, environment: TreeEnvironment
) -> RandomTrees | None:
    """Random trees, where the sampler is to learn from them."""
    if not run.settings.random_trees:
        return None
    seed = int(run.rng("random trees").integers(2**31))
    effort = run.effort
    return RandomTrees(
        environment, state.walkers.reward, seed, effort.random_batch, effort.random_from_step
    )


def known_topologies(
    run: SampleRun, state: RunState, estimate: PartitionEstimate
) -> KnownTopologies:
    """Return the share of the known topologies, and how well the sampler covers them."""
    return KnownTopologies(
        estimate.known_share, state.missed, state.missed_error, summed=not run.with_lengths
    )


def search_facts(state: RunState) -> SearchFacts | None:
    """Return how far the independent searches agree; None before they were compared."""
    if state.agreement is None:
        return None
    hits = state.walkers.hits(float(state.table.log_evidence.max()))
    return SearchFacts(state.agreement, len(state.walkers.ends), hits)
