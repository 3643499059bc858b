"""Log likelihoods of one tree at parameters that differ little from each other.

Derivatives by the parameters of several parts are differences of such values. A parameter that one
part alone has changes the likelihood of this part alone, which costs a fraction of that of all
parts; the relative rate of the part stretches its branches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phylogfn.alignments.patterns import PartitionedPatterns
from phylogfn.likelihood.joint.stacked_models import log_likelihoods
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models.partitioned import PartitionedSpec

if TYPE_CHECKING:
    from phylogfn.models import ModelSpec
    from phylogfn.trees.tree import Tree

__all__ = ["PartwiseLikelihood"]

SHARED = -1  # owner of a coordinate that concerns several parts

InThreads = Callable[[Callable[[int, int], None], int], None]


class _Part(NamedTuple):
    """A part, and the coordinates (k,) of theta that its model has."""

    spec: ModelSpec
    likelihood: TreeLikelihood
    columns: np.ndarray


class PartwiseLikelihood:
    """Log likelihoods of one tree at several vectors of parameters.

    Parameters
    ----------
    spec : ModelSpec
        Of one or several parts.
    like : TreeLikelihood
        Of the data, under any model of ``spec``.

    Attributes
    ----------
    owner : ndarray, shape (d,), int64
        Number of the part that a coordinate of theta concerns alone; `SHARED` for several.
    """

    def __init__(self, spec: ModelSpec, like: TreeLikelihood):
        self.spec = spec
        self.like = like
        self.owner = np.full(spec.n_free, SHARED, np.int64)
        self._parts: list[_Part] = []
        if not isinstance(spec, PartitionedSpec) or len(spec.parts) == 1:
            return
        assert isinstance(like.patterns, PartitionedPatterns)
        ends = np.cumsum([0, *(parameter.n_free for parameter in spec.parameters)])
        holders = np.bincount(
            np.concatenate([part.parameters for part in spec.parts]).astype(int),
            minlength=len(spec.parameters),
        )
        for number, (part, group) in enumerate(zip(spec.parts, like.patterns.groups, strict=True)):
            places = [np.arange(ends[p], ends[p + 1]) for p in part.parameters]
            for place, p in zip(places, part.parameters, strict=True):
                if holders[p] == 1:
                    self.owner[place] = number
            columns = np.concatenate([np.zeros(0, int), *places])
            model = part.spec.build(spec.start()[columns])
            self._parts.append(_Part(part.spec, TreeLikelihood(group, model), columns))

    def separate(self, i: int, j: int) -> bool:
        """Return whether two coordinates concern different parts, each one alone."""
        first, second = self.owner[i], self.owner[j]
        return bool(first != SHARED and second != SHARED and first != second)

    def values(
        self,
        tree: Tree,
        thetas: np.ndarray,
        lengths: np.ndarray,
        in_threads: InThreads = lambda task, n: task(0, n),
    ) -> np.ndarray:
        """Log likelihoods (M,) at parameters (M, d), which are compared with the first.

        Parameters
        ----------
        tree : Tree
            The topology.
        thetas : ndarray, shape (M, d), float64
        lengths : ndarray, shape (2n-2,), float64
        in_threads : callable
            Calls a function of the first number and the end of a range on ranges that cover 0 to n.
        """
        differ = thetas != thetas[0]
        part_of_row = np.full(len(thetas), SHARED)
        for number in range(len(self._parts)):
            own = self.owner == number
            part_of_row[differ[:, own].any(axis=1) & ~differ[:, ~own].any(axis=1)] = number
        out = np.empty(len(thetas))

        def fill(
            rows: np.ndarray, spec: ModelSpec, like: TreeLikelihood, own: np.ndarray, rate: float
        ) -> np.ndarray:
            found = np.empty(len(rows))
            stretched = np.repeat(rate * lengths[None], len(rows), axis=0)

            def task(start: int, stop: int) -> None:
                if start < stop:
                    part = slice(start, stop)
                    found[part] = log_likelihoods(spec, own[part], like, tree, stretched[part])

            in_threads(task, len(rows))
            return found

        whole = np.flatnonzero(part_of_row == SHARED)  # the first is among them
        out[whole] = fill(whole, self.spec, self.like, thetas[whole], 1.0)
        if whole.size < len(thetas):
            assert isinstance(self.spec, PartitionedSpec)
            rates = self.spec.relative_rates(thetas[0])
            for number, (spec, like, columns) in enumerate(self._parts):
                rows = np.flatnonzero(part_of_row == number)
                if rows.size:
                    rows = np.append(0, rows)
                    own = fill(rows, spec, like, thetas[np.ix_(rows, columns)], rates[number])
                    out[rows[1:]] = out[0] + own[1:] - own[0]
        return out
