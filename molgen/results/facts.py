"""The facts of a run that its files state, apart from the library itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from gfncore.program.messages import Note
from gfncore.program.provenance import Provenance, ResourceUse
from molgen.molecules.diversity import MODE_SCORE

__all__ = ["LocalControl", "RunFacts", "ScoringFacts", "TrainingFacts"]


CLEAR_EXCESS = 3.0  # standard errors


@dataclass(frozen=True)
class ScoringFacts:
    """Numbers of molecules by the outcome of scoring.

    Attributes
    ----------
    zero_draws : int
        Draws of the trained sampler with score zero.
    left_out_by_scaffold : int
        Molecules left out of the library because it was full for their scaffold.
    at_reward_floor : int
        Molecules with a score of zero or none, which have the smallest reward in training.
    below_reward_floor : int
        Molecules with a score above zero whose reward is nevertheless the smallest one.
    filtered : mapping of str to int
        Molecules rejected by filters, by filter.
    retried : int
        Scores that were computed a second time.
    """

    zero_draws: int = 0
    left_out_by_scaffold: int = 0
    at_reward_floor: int = 0
    below_reward_floor: int = 0
    filtered: Mapping[str, int] = field(default_factory=dict)
    retried: int = 0


@dataclass(frozen=True)
class TrainingFacts:
    """Training of the sampler.

    Attributes
    ----------
    steps, trajectories, processes : int
        Numbers of training steps, of trajectories in all, and of processes.
    seconds_by_part : mapping of str to float
        Time of the parts of training.
    log_partition : float, optional
        Log partition function as learned in training; None if the objective has none.
    """

    steps: int
    trajectories: int
    processes: int
    seconds_by_part: Mapping[str, float]
    log_partition: float | None = None


@dataclass(frozen=True)
class LocalControl:
    """Where local changes lead the molecules of a library (`molgen.runs.sample.control`).

    Attributes
    ----------
    rising, standard_error : float
        Share of the changed molecules, by the weights of the library, that became molecules with a
        larger ratio of reward and probability; one half is expected. nan if none was changed.
    n_molecules, n_changed, n_rounds : int
        Molecules of the library that were tried, those that were changed, and rounds.
    """

    rising: float
    standard_error: float
    n_molecules: int
    n_changed: int
    n_rounds: int

    @property
    def z(self) -> float:
        """Difference from one half in standard errors; 0 where nothing changed."""
        return (self.rising - 0.5) / self.standard_error if self.n_changed else 0.0

    @property
    def sampler_misses(self) -> bool:
        """Whether clearly more than half of the changes lead to molecules drawn too rarely."""
        return self.z > CLEAR_EXCESS


@dataclass(frozen=True)
class RunFacts:
    """The facts of a run that its files state, apart from the library itself.

    Parameters
    ----------
    command : str
        The command line.
    seed : int
        Seed of all random numbers.
    score : str
        The score in a few words.
    environment, symmetry, objective : str
        Construction method, correction for symmetry, and training objective.
    n_proposals : int
        Draws made from the trained sampler.
    oracle_calls : int
        Molecules scored.
    use : ResourceUse
        Time and memory used.
    validity : float
        Share of all draws that RDKit can read and sanitise.
    log_partition, log_partition_se : float
        Log of the sum of the reward over all molecules, and its standard error; nan if unknown.
    ess : float
        Effective sample size of the draws; nan if unknown.
    pareto_k : float
        Pareto k-hat of their weights; nan if unknown.
    control : LocalControl, optional
        Check of the library by local changes; None: not done.
    reward_exponent : float
        Power of the score to which probabilities are proportional; nan if there are several.
    conditioning : str, optional
        How the sampler depends on the exponent; None if it learned a single one.
    order_temperature : float, optional
        Temperature of order-preserving training; None for other objectives.
    backward_policy : str
        Backward policy of the training.
    sub_trajectory_lambda : float, optional
        lambda of sub-trajectory balance; None for other objectives.
    failures : mapping of str to int
        Scores that could not be computed, by reason.
    failure_examples : mapping of str to str
        One molecule and its error message for each reason.
    best_scored : tuple of (str, float)
        The best of all scored molecules, in the library or not, with their scores.
    methods : tuple of str
        Keys of :mod:`molgen.citations` for the methods of the run.
    budget_seconds : float, optional
        Maximum time of the run.
    provenance : Provenance, optional
        Content of ``provenance.json``; None: the file is not written.
    run_toml, train_jsonl : str
        Content of these files, which the run itself writes to its output directory.
    mode_score : float
        Minimum score of modes.
    warnings : tuple of Note
        Warnings about unreliable results.
    scoring : ScoringFacts
        Numbers of molecules by the outcome of scoring.
    training : TrainingFacts, optional
        Training of the sampler.
    """

    command: str
    seed: int
    score: str
    environment: str
    symmetry: str
    objective: str
    n_proposals: int
    oracle_calls: int
    use: ResourceUse
    validity: float
    log_partition: float = math.nan
    log_partition_se: float = math.nan
    ess: float = math.nan
    pareto_k: float = math.nan
    control: LocalControl | None = None
    reward_exponent: float = 1.0
    conditioning: str | None = None
    order_temperature: float | None = None
    sub_trajectory_lambda: float | None = None
    backward_policy: str = "uniform"
    failures: Mapping[str, int] = field(default_factory=dict)
    failure_examples: Mapping[str, str] = field(default_factory=dict)
    best_scored: tuple[tuple[str, float], ...] = ()
    methods: tuple[str, ...] = ()
    budget_seconds: float | None = None
    provenance: Provenance | None = None
    run_toml: str = ""
    train_jsonl: str = ""
    mode_score: float = MODE_SCORE
    warnings: tuple[Note, ...] = ()
    scoring: ScoringFacts = ScoringFacts()
    training: TrainingFacts | None = None
