"""Facts of a run for its files, and facts on the parts of an estimate for warnings and files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gfncore.program.provenance import Provenance, ResourceUse
from phylogfn.alignments.characters import Characters

if TYPE_CHECKING:
    from phylogfn.exploration.agreement import SearchAgreement

__all__ = [
    "BRANCH_LENGTH_METHODS",
    "BranchLengthFacts",
    "ClosedFormFacts",
    "ConstraintFacts",
    "KnownTopologies",
    "ModelEvidence",
    "OutgroupFacts",
    "ParsimonyFacts",
    "RunFacts",
    "SearchFacts",
    "TrainingFacts",
]


@dataclass(frozen=True)
class ModelEvidence:
    """A model that was screened, and its evidence if it was compared by it.

    Attributes
    ----------
    name : str
    n_parameters : int
        Free parameters, without branch lengths.
    log_likelihood : float
        Its maximum on the tree of the screening, nats.
    bic : float
        Schwarz's criterion there.
    log_evidence, standard_error : float
        Nats; NaN if the screening left it out.
    probability : float
        Posterior probability among the models that were compared; 0 for others.
    """

    name: str
    n_parameters: int = 0
    log_likelihood: float = math.nan
    bic: float = math.nan
    log_evidence: float = math.nan
    standard_error: float = math.nan
    probability: float = 0.0

    @property
    def evidence(self) -> tuple[float, float, float]:
        """Log evidence, its standard error, and the probability."""
        return self.log_evidence, self.standard_error, self.probability


@dataclass(frozen=True)
class KnownTopologies:
    """The topologies that the search found, compared with the estimate and the sampler.

    Attributes
    ----------
    share : float
        Share of the evidence that these topologies have.
    divergence, divergence_se : float
        KL divergence of the sampler from the posterior over these topologies (if not summed, over
        these topologies and their branch lengths) and its standard error, nats; NaN if unknown.
    summed : bool
        Whether the evidence of these topologies is summed, which needs no sampler. It is not if
        trees are drawn with branch lengths.
    """

    share: float = 0.0
    divergence: float = math.nan
    divergence_se: float = 0.0
    summed: bool = True

    @property
    def summed_share(self) -> float:
        """The share of the evidence that does not depend on the sampler."""
        return self.share if self.summed else 0.0

    def as_dict(self) -> dict[str, float]:
        """Return the figures as the summary names them."""
        share = "known_share" if self.summed else "share_of_known_topologies"
        divergence = "kl_known_to_sampler" if self.summed else "kl_posterior_to_sampler"
        return {
            share: self.share,
            divergence: self.divergence,
            f"{divergence}_se": self.divergence_se,
        }


@dataclass(frozen=True)
class OutgroupFacts:
    """The outgroup at which trees are rooted, and the share of the result in which it is a clade.

    Attributes
    ----------
    names : tuple of str
        Its taxa.
    share : float
        Posterior probability that it is a clade; of parsimony, its share of the best trees.
    n_without_clade : int
        Number of draws (best trees) in which it is not a clade. They are rooted on the branch that
        separates most of it.
    share_error : float
        Standard error of the posterior probability; NaN if unknown.
    """

    names: tuple[str, ...]
    share: float
    n_without_clade: int
    share_error: float = math.nan

    @property
    def text(self) -> str:
        """Its taxa for reports."""
        return ", ".join(self.names)


@dataclass(frozen=True)
class SearchFacts:
    """Agreement of the two independent searches, and of walks from independent starting trees.

    Attributes
    ----------
    agreement : SearchAgreement
    n_scouts : int
        Number of walks from independent starting trees that were completed.
    n_hits : int
        Number of these that reached the best topology.
    """

    agreement: SearchAgreement
    n_scouts: int
    n_hits: int

    def as_dict(self) -> dict[str, float | bool]:
        """Return the figures as the summary names them."""
        return self.agreement.as_dict() | {"scouts": self.n_scouts, "scout_hits": self.n_hits}


@dataclass(frozen=True)
class ClosedFormFacts:
    """Evidence from the closed form of the integral over branch lengths, and its correction.

    Attributes
    ----------
    log_evidence, standard_error : float
        Log evidence by the closed form alone.
    correction, correction_se : float
        Correction of the log evidence by draws of branch lengths, and its standard error.
    share_with_own_draws : float
        Probability of the listed topologies whose correction comes from draws of their own.
    """

    log_evidence: float
    standard_error: float
    correction: float
    correction_se: float
    share_with_own_draws: float


BRANCH_LENGTH_METHODS = ("", "independent", "joint", "annealed")
"""Methods of `BranchLengthFacts`, the more expensive ones last."""


@dataclass(frozen=True)
class BranchLengthFacts:
    """Diagnostics of the importance weights of branch lengths.

    Attributes
    ----------
    n_draws : int
    ess, pareto_k : float
        Effective sample size and Pareto k of the weights.
    topology_pareto_k : float
        Pareto k of the weights of topologies; minus infinity if topologies and branch lengths are
        drawn together.
    method : str
        How they were drawn: ``independent`` (branch by branch), ``joint`` (with the parameters of
        the model) or ``annealed`` (joint draws moved to the posterior); empty if topologies and
        branch lengths are drawn together.
    annealing_steps : int
        Intermediate densities of annealed draws; 0 of others.
    closed_form : ClosedFormFacts, optional
        None if topologies and branch lengths are drawn together.
    """

    n_draws: int
    ess: float
    pareto_k: float
    topology_pareto_k: float = -math.inf
    closed_form: ClosedFormFacts | None = None
    method: str = ""
    annealing_steps: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as the summary names them."""
        closed = self.closed_form
        figures: dict[str, Any] = {}
        if closed is not None:
            figures |= {
                "log_evidence_closed_form": closed.log_evidence,
                "closed_form_se": closed.standard_error,
                "branch_length_correction": closed.correction,
                "branch_length_correction_se": closed.correction_se,
            }
        figures |= {"branch_length_draws": self.n_draws, "branch_length_ess": self.ess}
        if closed is not None:
            figures["branch_length_draws_effective_share"] = self.ess / self.n_draws
        figures |= {
            "branch_length_pareto_k": self.pareto_k,
            "topology_pareto_k": self.topology_pareto_k,
        }
        if self.method:
            figures["branch_length_method"] = self.method
            figures["annealing_steps"] = self.annealing_steps
        if closed is not None:
            figures["probability_with_own_correction"] = closed.share_with_own_draws
        return figures


@dataclass(frozen=True)
class TrainingFacts:
    """Search and training of a sampler of trees.

    Attributes
    ----------
    environment, branch_lengths : str
        Construction method and treatment of branch lengths, as in the settings.
    sampler_temperature : float
        Temperature of the sampler at the last draws.
    walk_steps : int
        Steps of all walks.
    n_topologies : int
        Number of topologies evaluated.
    steps, cycles : int
        Training steps, and cycles of training and evaluation.
    seconds_by_part : mapping of str to float
        Time of the parts of training.
    random_trees_correlation : float, optional
        Correlation of predicted and true log R over random trees; None if it was not learned.
    objective : str
        Training objective of the sampler's own draws.
    backward_policy : str
        Backward policy of its training.
    """

    environment: str
    branch_lengths: str
    sampler_temperature: float
    walk_steps: int
    n_topologies: int
    steps: int
    cycles: int
    seconds_by_part: Mapping[str, float]
    random_trees_correlation: float | None = None
    objective: str = "trajectory_balance"
    backward_policy: str = "uniform"

    def as_dict(self) -> dict[str, Any]:
        """Return the figures of search and training as the summary names them."""
        return {
            "sampler_temperature": self.sampler_temperature,
            "walk_steps": self.walk_steps,
            "topologies_evaluated": self.n_topologies,
            "training_steps": self.steps,
            "training_cycles": self.cycles,
            "training_seconds_by_part": {
                part: round(seconds, 3) for part, seconds in self.seconds_by_part.items()
            },
        }


@dataclass(frozen=True)
class ConstraintFacts:
    """The constraint on the topologies of a run.

    Attributes
    ----------
    source : str
        Name of its file.
    n_splits, n_free : int
        Number of splits, and of taxa that they do not have.
    log_n_topologies : float
        Log of the number of topologies that have all splits.
    """

    source: str
    n_splits: int
    n_free: int
    log_n_topologies: float

    @property
    def text(self) -> str:
        """A description for reports."""
        clades = f"{self.n_splits} clade{'' if self.n_splits == 1 else 's'}"
        free = f", {self.n_free} taxa free" if self.n_free else ""
        return (
            f"{self.source}: {clades}{free}; the prior is uniform over the "
            f"{math.exp(min(self.log_n_topologies, 700.0)):.4g} topologies that have them all"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as the summary names them."""
        return {
            "constraint": self.source,
            "constraint_splits": self.n_splits,
            "constraint_free_taxa": self.n_free,
            "log_n_topologies": self.log_n_topologies,
        }


@dataclass(frozen=True)
class RunFacts:
    """Facts of a run of ``phylogfn sample``, in addition to its posterior.

    Parameters
    ----------
    command : str
        The command line.
    seed : int
        Seed of all random numbers.
    alignment : str
        Name of the alignment as given by the user.
    n_sites, n_patterns : int
        Number of columns of the alignment, and of distinct columns.
    model : str
        Substitution model, with given or estimated values of its parameters.
    branch_prior : str
        Prior on branch lengths.
    likelihood_evaluations : int
        Number of full likelihoods computed.
    use : ResourceUse
        Time and memory used.
    methods : tuple of str
        Keys of :mod:`phylogfn.citations` for the methods of the run.
    budget_seconds : float, optional
        Maximum time of the run.
    files_seed : tuple of int
        Seed of the generator that distributes the draws between the two runs of the MrBayes files.
    provenance : Provenance, optional
        Content of ``provenance.json``; if None, the file is not written.
    run_toml, train_jsonl : str
        Content of these files, which the run itself writes to its output directory.
    constraint : ConstraintFacts, optional
        None if all topologies are possible.
    """

    command: str
    seed: int
    alignment: str
    n_sites: int
    n_patterns: int
    model: str
    branch_prior: str
    likelihood_evaluations: int
    use: ResourceUse
    methods: tuple[str, ...] = ()
    budget_seconds: float | None = None
    files_seed: tuple[int, ...] = (1,)
    provenance: Provenance | None = None
    run_toml: str = ""
    train_jsonl: str = ""
    constraint: ConstraintFacts | None = None


@dataclass(frozen=True)
class ParsimonyFacts:
    """Facts of a run of ``phylogfn parsimony``, in addition to its result.

    Attributes
    ----------
    command : str
        The command line.
    seed : int
    alignment : str
        Its name as given by the user.
    data_type : str
        Kind of data, in words.
    gaps, environment : str
        As in the settings.
    characters : Characters
    n_scores : int
        Number of trees, and of positions of subtrees, scored.
    use : ResourceUse
    methods : tuple of str
        Keys of :mod:`phylogfn.citations` for the methods of the run.
    budget_seconds : float
    """

    command: str
    seed: int
    alignment: str
    data_type: str
    gaps: str
    environment: str
    characters: Characters
    n_scores: int
    use: ResourceUse
    methods: tuple[str, ...]
    budget_seconds: float
