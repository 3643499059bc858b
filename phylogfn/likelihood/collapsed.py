"""The collapsed reward of topologies: log p(Y | topology) with branch lengths integrated out.

Two forms (see `phylogfn.kernels.collapse_numba`): a closed one, cached in a `TopologyTable`, and an
unbiased one by importance draws, which also gives the joint posterior of branch lengths.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from phylogfn.kernels import collapse_numba, length_draws_numba, pruning_numba
from phylogfn.kernels.topology_numba import children_batch
from phylogfn.likelihood.branch_prior import external_branches
from phylogfn.likelihood.integrals import Collapsed, LengthDraws
from phylogfn.likelihood.length_proposals import FACTORS, LengthProposal

if TYPE_CHECKING:
    from phylogfn.likelihood.branch_prior import BranchPrior
    from phylogfn.likelihood.tree_likelihood import TreeLikelihood
    from phylogfn.trees.constraints.splits import Constraints

__all__ = ["CollapsedReward", "log_n_topologies"]

START_LENGTH = 0.05  # expected substitutions per site, where nothing better is known
MAX_SWEEPS = 40
TOLERANCE = 1e-3  # nats that the next Newton step may still promise
CHUNK = 8  # trees that one thread takes at a time


def log_n_topologies(n_taxa: int) -> float:
    """Log of (2n-5)!!, the number of unrooted binary topologies of n labelled taxa."""
    return sum(math.log(2 * k - 5) for k in range(4, n_taxa + 1))


class CollapsedReward:
    """Evaluates topologies under one likelihood and one prior on branch lengths.

    Parameters
    ----------
    likelihood : TreeLikelihood
    branch_prior : BranchPrior
    threads : int
    constraints : Constraints, optional
        Splits that all topologies have; the prior is uniform over these. None: over all.
    """

    def __init__(
        self,
        likelihood: TreeLikelihood,
        branch_prior: BranchPrior,
        threads: int,
        constraints: Constraints | None = None,
    ):
        self.constraints = constraints
        self.likelihood = likelihood
        self.branch_prior = branch_prior
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads)
        self.evaluations = 0  # of the likelihood of a whole tree

    @property
    def log_topology_prior(self) -> float:
        """Log of the uniform prior over topologies."""
        if self.constraints is not None:
            return -self.constraints.log_n_topologies
        return -log_n_topologies(self.likelihood.n_taxa)

    def closed_form(
        self,
        parents: np.ndarray,
        lengths: np.ndarray | None = None,
        sweeps: int = MAX_SWEEPS,
    ) -> Collapsed:
        """Closed form for topologies ``parents`` (B, 2n-2) drawn at taxon 0.

        ``lengths`` (B, 2n-2) are where the Newton steps start; ``sweeps`` is how many are made at
        most.
        """
        fit, evaluations = self.uncounted_closed_form(parents, lengths, sweeps)
        self.evaluations += evaluations
        return fit

    def uncounted_closed_form(
        self,
        parents: np.ndarray,
        lengths: np.ndarray | None = None,
        sweeps: int = MAX_SWEEPS,
    ) -> tuple[Collapsed, int]:
        """`closed_form` for other threads: return it with the number of likelihood evaluations."""
        like = self.likelihood
        parents = np.ascontiguousarray(parents, np.int16)
        children = children_batch(parents)
        modes = np.full(parents.shape, START_LENGTH) if lengths is None else lengths.astype(float)
        np.clip(modes, 1e-6, collapse_numba.MAX_LENGTH, out=modes)
        modes[:, 0] = 0.0
        shapes = np.ones(parents.shape)
        log_likelihoods = np.empty(len(parents))
        log_evidences = np.empty(len(parents))

        def task(start: int) -> int:
            part = slice(start, start + CHUNK)
            return collapse_numba.optimise_batch(
                like.model_arrays,
                like.data_arrays,
                self.branch_prior.functions,
                children[part],
                modes[part],
                shapes[part],
                like.rescale,
                like.workspace(),
                sweeps,
                TOLERANCE,
                log_likelihoods[part],
                log_evidences[part],
            )

        evaluations = sum(self.pool.map(task, range(0, len(parents), CHUNK)))
        return Collapsed(log_evidences, log_likelihoods, modes, shapes), evaluations

    def draw_lengths(
        self,
        parents: np.ndarray,
        fit: Collapsed,
        n_draws: int,
        seed: int,
        proposal: LengthProposal | None = None,
    ) -> LengthDraws:
        """Draw branch lengths by importance sampling.

        Parameters
        ----------
        parents : ndarray, shape (B, 2n-2)
            Topologies, repeats allowed.
        fit : Collapsed
            Of the same topologies.
        n_draws : int
            M, of each row.
        seed : int
        proposal : LengthProposal, optional
            Default: the defensive mixture that nothing was fitted to.

        Returns
        -------
        LengthDraws
        """
        like = self.likelihood
        children = children_batch(np.ascontiguousarray(parents, np.int16))
        shape = (len(parents), n_draws)
        width = parents.shape[1]
        draws = LengthDraws(
            np.empty(shape), np.empty(shape), np.empty((*shape, width)), np.empty((*shape, 0))
        )
        seeds = np.random.default_rng(seed).integers(2**31, size=len(parents))
        if proposal is None:
            proposal = LengthProposal.default(parents.shape[1] - 1, self.branch_prior)
        shares, family_shares = proposal.shares, proposal.family_shares

        def task(i: int) -> None:
            length_draws_numba.importance_draws(
                like.model_arrays,
                like.data_arrays,
                self.branch_prior.functions,
                children[i],
                fit.lengths[i],
                fit.shapes[i],
                FACTORS,
                shares,
                family_shares,
                like.rescale,
                seeds[i],
                draws.lengths[i],
                draws.log_likelihoods[i],
                draws.log_weights[i],
            )

        list(self.pool.map(task, range(len(parents))))
        self.evaluations += shape[0] * n_draws
        return draws

    def log_likelihoods(self, parents: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Log-likelihoods (B,), nats, of trees ``parents`` (B, 2n-2) drawn at taxon 0.

        ``lengths`` (B, 2n-2), float64, are their branch lengths.
        """
        like = self.likelihood
        children = children_batch(np.ascontiguousarray(parents, np.int16))
        out = np.empty(len(parents))

        def task(start: int) -> None:
            for i in range(start, min(start + CHUNK, len(parents))):
                out[i] = pruning_numba.log_likelihood(
                    like.model_arrays, like.data_arrays, children[i], 0, lengths[i], like.rescale
                )

        list(self.pool.map(task, range(0, len(parents), CHUNK)))
        self.evaluations += len(parents)
        return out

    def log_priors(self, lengths: np.ndarray, parents: np.ndarray | None = None) -> np.ndarray:
        """Log prior densities (B,) of trees with branch lengths (B, 2n-2), topology included.

        ``parents`` (B, 2n-2), drawn at taxon 0, tell which branches lead to a taxon; ValueError if
        they are missing and the prior depends on that.
        """
        external = None if parents is None else external_branches(parents)[:, 1:]
        log_density = self.branch_prior.log_density(lengths[:, 1:], external)
        return log_density + self.log_topology_prior
