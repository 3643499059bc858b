"""Data of a posterior: draws, the posterior over topologies, the evidence.

Splits are integers: bit i is set if taxon i is on the side without taxon 0 (see
:mod:`phylogfn.trees.tree`). Branch lengths are expected substitutions per site; log quantities are
in nats.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gfncore.program.messages import Note
from phylogfn.results.facts import (
    BranchLengthFacts,
    KnownTopologies,
    ModelEvidence,
    OutgroupFacts,
    RunFacts,
    SearchFacts,
    TrainingFacts,
)
from phylogfn.results.repeats.agreement import RunComparison
from phylogfn.sequences.ancestral import AncestralSequences
from phylogfn.sequences.predictive import PredictiveChecks
from phylogfn.trees.keys import keys_of
from phylogfn.trees.splits import (
    SplitProbabilities,
    SplitTable,
    split_supports,
    tabulate_splits,
)
from phylogfn.trees.tree import Tree, node_splits

__all__ = ["PosteriorData", "draw_branches", "split_table"]


@dataclass(frozen=True, eq=False)
class PosteriorData:
    """A posterior over unrooted phylogenetic trees of n taxa.

    Parameters
    ----------
    names : tuple of str, length n
        The taxa, exactly as in the input and in its order.
    draw_parents : ndarray, shape (S, 2n-2), int32
        Topologies of S equally weighted draws.
    draw_lengths : ndarray, shape (S, 2n-2), float64
        Their branch lengths.
    draw_log_likelihoods, draw_log_priors : ndarray, shape (S,), float64
        Their log likelihoods and log prior densities.
    topology_parents : ndarray, shape (T, 2n-2), int32
        Known topologies, most probable first.
    topology_probabilities : ndarray, shape (T,), float64
        Their posterior probabilities.
    topology_log_evidences : ndarray, shape (T,), float64
        log p(data, topology): likelihood and prior with the branch lengths integrated out.
    log_evidence, log_evidence_se : float
        log p(data) and its standard error; infinite if the error cannot be estimated.
    ess : float
        Effective sample size of the weighted proposals.
    n_proposals : int
        Number of weighted proposals.
    pareto_k : float
        Pareto k of the importance weights of proposals and of branch lengths.
    warnings : tuple of Note
        Warnings: sentences, each with a `code` that does not depend on its wording.
    known : KnownTopologies
        Share of the topologies that the search found, and how well the sampler covers them.
    searches : SearchFacts, optional
        Agreement of the independent searches; None if they were not compared.
    branch_length_weights : BranchLengthFacts, optional
        Diagnostics of the importance weights of branch lengths; None if there are none.
    training : TrainingFacts, optional
        Search and training.
    topology_errors : ndarray, shape (T,), float64, optional
        Standard errors of the probabilities; None if unknown.
    split_probabilities : SplitProbabilities, optional
        Probabilities of the splits with their standard errors; None if they are to be taken from
        topologies and draws, without errors.
    facts : RunFacts, optional
        Facts of the run, which are required for writing files.
    outgroup : OutgroupFacts, optional
        The outgroup on whose branch trees are rooted; None: trees are unrooted.
    predictive : PredictiveChecks, optional
        Posterior predictive checks; None if they were not made.
    ancestral : AncestralSequences, optional
        Ancestral sequences; None if they were not reconstructed.
    runs : tuple of PosteriorData
        The posteriors of independent runs, if this is their combined posterior.
    comparison : RunComparison, optional
        How far these runs agree; None if there is a single run.
    parameter_names : tuple of str, length P
        The parameters of the model that were integrated out, as MrBayes names them, such as
        ``r(A<->C)``, ``pi(A)``, ``kappa``, ``alpha`` and ``pinvar``.
    draw_parameters : ndarray, shape (S, P), float64, optional
        Their values in the draws; None stands for no parameters.
    draw_thetas : ndarray, shape (S, d), float64, optional
        The same as the unconstrained values that `phylogfn.models.ModelSpec.build` takes; NaN
        beyond the number of parameters of the model of a draw.
    draw_models : ndarray, shape (S,), int64, optional
        Index of the model of each draw, where several were averaged.
    models : tuple of ModelEvidence
        The models that were compared; empty if the user has chosen one.
    """

    names: tuple[str, ...]
    draw_parents: NDArray[np.int32]
    draw_lengths: NDArray[np.float64]
    draw_log_likelihoods: NDArray[np.float64]
    draw_log_priors: NDArray[np.float64]
    topology_parents: NDArray[np.int32]
    topology_probabilities: NDArray[np.float64]
    topology_log_evidences: NDArray[np.float64]
    log_evidence: float
    log_evidence_se: float
    ess: float
    n_proposals: int
    pareto_k: float
    warnings: tuple[Note, ...] = ()
    known: KnownTopologies = KnownTopologies()
    searches: SearchFacts | None = None
    branch_length_weights: BranchLengthFacts | None = None
    training: TrainingFacts | None = None
    topology_errors: NDArray[np.float64] | None = None
    split_probabilities: SplitProbabilities | None = None
    facts: RunFacts | None = None
    outgroup: OutgroupFacts | None = None
    predictive: PredictiveChecks | None = None
    ancestral: AncestralSequences | None = None
    runs: tuple[PosteriorData, ...] = ()
    comparison: RunComparison | None = None
    parameter_names: tuple[str, ...] = ()
    draw_parameters: NDArray[np.float64] | None = None
    draw_thetas: NDArray[np.float64] | None = None
    draw_models: NDArray[np.int64] | None = None
    models: tuple[ModelEvidence, ...] = ()

    def __post_init__(self) -> None:
        n_nodes = 2 * len(self.names) - 2
        n_draws, n_topologies = len(self.draw_parents), len(self.topology_parents)
        expected = {
            "draw_parents": (n_draws, n_nodes),
            "draw_lengths": (n_draws, n_nodes),
            "draw_log_likelihoods": (n_draws,),
            "draw_log_priors": (n_draws,),
            "topology_parents": (n_topologies, n_nodes),
            "topology_probabilities": (n_topologies,),
            "topology_log_evidences": (n_topologies,),
        }
        if self.topology_errors is not None:
            expected["topology_errors"] = (n_topologies,)
        if self.draw_parameters is not None or self.parameter_names:
            expected["draw_parameters"] = (n_draws, len(self.parameter_names))
        for name, shape in expected.items():
            found = np.shape(getattr(self, name))
            if found != shape:
                raise ValueError(f"{name} has shape {found}, but {shape} was expected")

    @property
    def n_taxa(self) -> int:
        """The number of taxa, n."""
        return len(self.names)

    @property
    def n_draws(self) -> int:
        """The number of draws, S."""
        return len(self.draw_parents)

    @property
    def n_topologies(self) -> int:
        """The number of topologies listed, T."""
        return len(self.topology_parents)

    @property
    def topology_pareto_k(self) -> float:
        """Pareto k of the importance weights of topologies, without those of branch lengths."""
        weights = self.branch_length_weights
        return self.pareto_k if weights is None else weights.topology_pareto_k

    @property
    def outgroup_numbers(self) -> tuple[int, ...]:
        """The numbers of the taxa of the outgroup; empty if trees are unrooted."""
        return () if self.outgroup is None else tuple(map(self.names.index, self.outgroup.names))

    def draw(self, index: int) -> Tree:
        """Return one draw as a tree with branch lengths."""
        return Tree.from_parents(self.draw_parents[index], self.draw_lengths[index])

    def topology(self, index: int) -> Tree:
        """Return one of the topologies listed, 0 the best, without lengths."""
        return Tree.from_parents(self.topology_parents[index])

    def draw_ess(self) -> float:
        """Return the effective number of independent draws of lengths and parameters.

        The draws are resampled by weight: both the weights and their number limit it.
        """
        weights = self.branch_length_weights
        of_weights = math.inf if weights is None else weights.ess
        return 1.0 / (1.0 / max(of_weights, 1.0) + 1.0 / max(self.n_draws, 1))

    def tree_lengths(self) -> NDArray[np.float64]:
        """Return the sum of branch lengths of each draw, shape(S,)."""
        return self.draw_lengths[:, 1:].sum(axis=1)


def split_table(posterior: PosteriorData) -> SplitTable:
    """Return split supports, their standard errors, and branch lengths of a posterior.

    Supports are ``split_probabilities``, where the posterior has them. Otherwise they are computed
    from the probabilities of the listed topologies, which have less noise than counts of draws; the
    remaining probability is distributed over draws of other topologies, if there are any. Without a
    list of topologies, they are computed from the draws. Lengths are always computed from the
    draws.
    """
    drawn = tabulate_splits(posterior.names, draw_branches(posterior))
    estimated = posterior.split_probabilities
    if estimated is not None:
        supports = dict(zip(estimated.splits, estimated.probabilities.tolist(), strict=True))
        errors = {
            split: error
            for split, error in zip(estimated.splits, estimated.errors.tolist(), strict=True)
            if math.isfinite(error)
        }
        return SplitTable(posterior.names, supports, drawn.mean_lengths, drawn.sd_lengths, errors)
    if posterior.n_topologies == 0 or not posterior.topology_probabilities.sum() > 0:
        return drawn
    supports = split_supports(posterior.topology_parents, posterior.topology_probabilities)
    rest = 1.0 - float(posterior.topology_probabilities.sum())
    known = {key.tobytes() for key in keys_of(posterior.topology_parents)}
    drawn_keys = keys_of(posterior.draw_parents)
    others = [i for i, key in enumerate(drawn_keys) if key.tobytes() not in known]
    if rest > 0.0 and others:
        supports = {split: (1.0 - rest) * support for split, support in supports.items()}
        for split, support in split_supports(posterior.draw_parents[others]).items():
            supports[split] = supports.get(split, 0.0) + rest * support
    return SplitTable(posterior.names, supports, drawn.mean_lengths, drawn.sd_lengths)


def draw_branches(
    posterior: PosteriorData, chosen: Iterable[int] | None = None
) -> Iterator[tuple[float, dict[int, float | None]]]:
    """Yield weight 1 and the length of the branch of each split, leaves included, of the draws.

    Parameters
    ----------
    posterior : PosteriorData
    chosen : iterable of int, optional
        Numbers of draws. Default: all.
    """
    known: dict[bytes, list[int]] = {}
    for draw in range(posterior.n_draws) if chosen is None else chosen:
        row = posterior.draw_parents[draw]
        key = row.tobytes()
        masks = known.get(key)
        if masks is None:
            masks = known[key] = node_splits(Tree.from_parents(row))
        yield 1.0, dict(zip(masks[1:], posterior.draw_lengths[draw, 1:].tolist(), strict=True))
