"""The likelihood of trees under one model and one alignment.

`TreeLikelihood` binds site patterns to a substitution model, or those of several parts of an
alignment to a model each.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phylogfn.kernels import pruning_numba as kernels
from phylogfn.kernels.length_draws_numba import log_likelihoods_of_models
from phylogfn.kernels.partitions_numba import DataArrays, ModelArrays
from phylogfn.kernels.tiles import T

if TYPE_CHECKING:
    from phylogfn.alignments.patterns import SitePatterns
    from phylogfn.models import PartitionedModel, SiteModel
    from phylogfn.trees.tree import Tree

__all__ = ["TreeLikelihood"]

CACHE_LINE = 64  # bytes
STATE_BLOCK = 4  # states that the kernels take at a time
RESCALE_ABOVE = 120  # taxa; below, float64 holds every partial (tested to 1000 with rescaling)


def _is_equal_input(model: SiteModel) -> bool:
    """True for DNA with equal exchangeabilities, one category and no invariant sites.

    False where only variable sites occur: the kernels of this kind do not condition on them.
    """
    if model.n_states != 4 or len(model.processes) > 1 or model.variable_only:
        return False
    if model.n_categories > 1 or model.invariant > 0.0:
        return False
    upper = model.process(0).exchangeabilities[np.triu_indices(4, 1)]
    return bool(np.all(upper == upper[0]))


def _padded(n_states: int) -> int:
    """Return the number of states that the kernels take: the next multiple of 4."""
    return -(-n_states // STATE_BLOCK) * STATE_BLOCK


def _square(matrix: np.ndarray, size: int) -> np.ndarray:
    """Return a matrix of (size, size) numbers with zeros for states that never occur, flat."""
    out = np.zeros((size, size))
    out[: len(matrix), : len(matrix)] = matrix
    return out.ravel()


def _model_arrays(models: Sequence[SiteModel], general: bool) -> ModelArrays:
    """Lay models out for the kernels, one behind another.

    Parameters
    ----------
    models : sequence of SiteModel
        One of each part.
    general : bool
        Use the general kernel even where a closed form exists.

    Returns
    -------
    ModelArrays
    """
    table = np.zeros((len(models), 5), np.int64)
    pieces: list[np.ndarray] = []
    at = 0
    for row, model in zip(table, models, strict=True):
        K = _padded(model.n_states)
        closed_form = _is_equal_input(model) and not general
        rate = float(model.category_rates[0]) if closed_form else 1.0
        processes = model.processes
        never = np.zeros(K - model.n_states)
        eigen = [process.eigen() for process in processes]
        part = [
            [rate * model.decay],
            *(row for process in processes for row in (process.frequencies, never)),
            *(row for _, values, _ in eigen for row in (values, never)),
            model.category_rates,
            model.category_weights,
            *(_square(process.Q, K) for process in processes),
            *(_square(process.Q.T, K) for process in processes),
            *(_square(right, K) for right, _, _ in eigen),
            *(_square(left, K) for _, _, left in eigen),
        ]
        row[:] = (0 if closed_form else 1, K, model.n_categories, at, len(processes))
        pieces.append(np.concatenate(part).astype(np.float64))
        at += pieces[-1].size
    return ModelArrays(table, np.concatenate(pieces))


class _Tiles(NamedTuple):
    """Patterns of one part in tiles; see `DataArrays`."""

    tips: np.ndarray
    weights: np.ndarray
    masks: np.ndarray
    common: np.ndarray  # (K, n_tiles * T), whether all taxa may have the state
    constant: tuple[int, int]


def _tiles(patterns: SitePatterns, variable_only: bool) -> _Tiles:
    """Lay the patterns of one part out; constant ones are added if only variable ones occur."""
    n, n_states, n_patterns = patterns.n_taxa, patterns.n_states, patterns.n_patterns
    n_constant = n_states if variable_only else 0
    used = n_patterns + n_constant
    n_tiles = max(1, -(-used // T))
    first = n_patterns
    if n_constant and used - (n_tiles - 1) * T < n_constant:  # all of them in the last tile
        first = (n_tiles - 1) * T
        n_tiles = -(-(first + n_constant) // T)
    K = _padded(n_states)
    padded = np.zeros((n, K, n_tiles * T))
    padded[:, :n_states] = 1.0
    padded[:, :n_states, :n_patterns] = patterns.tip_partials()  # n x K x P
    padded[:, :n_states, first : first + n_constant] = np.eye(n_states)[:, :n_constant]
    weights = np.zeros(n_tiles * T)
    weights[:n_patterns] = patterns.weights
    tips = padded.reshape(n, K, n_tiles, T).transpose(2, 0, 1, 3)
    masks = np.zeros(0, np.int16)
    if n_states == 4:
        possible = tips.astype(np.int16)
        bits = np.array([1, 2, 4, 8], np.int16)[:, None]
        masks = ((possible * bits).sum(axis=2) + 16 * possible.sum(axis=2)).astype(np.int16).ravel()
    place = first - (n_tiles - 1) * T
    constant = (place, place + n_constant) if n_constant else (0, 0)
    common = np.all(padded[:, :n_states] > 0.0, axis=0)
    return _Tiles(tips.ravel(), weights, masks, common, constant)


def _data_arrays(
    parts: Sequence[SitePatterns], variable_only: Sequence[bool]
) -> tuple[DataArrays, list[np.ndarray]]:
    """Lay the patterns of all parts out for the kernels, without the shares of invariant sites.

    Parameters
    ----------
    parts : sequence of SitePatterns
    variable_only : sequence of bool
        Whether only variable patterns can occur in each part.

    Returns
    -------
    data : DataArrays
    common : list of ndarray, shape (K, n_tiles * T), bool
        Of each part: whether all taxa may have a state, for `_invariant_shares`.
    """
    tiles = [_tiles(part, only) for part, only in zip(parts, variable_only, strict=True)]
    weights = np.concatenate([part.weights for part in tiles])
    table = np.zeros((len(tiles), 6), np.int64)
    end = tips = masks = 0
    for row, part in zip(table, tiles, strict=True):
        first, end = end, end + part.weights.size // T
        row[:] = (first, end, tips, masks, *part.constant)
        tips += part.tips.size
        masks += part.masks.size
    data = DataArrays(
        parts[0].n_taxa,
        table,
        _aligned([part.tips for part in tiles]),
        weights,
        np.zeros(weights.size),
        np.concatenate([part.masks for part in tiles]),
    )
    return data, [part.common for part in tiles]


def _invariant_shares(models: Sequence[SiteModel], common: Sequence[np.ndarray]) -> np.ndarray:
    """Return the share of invariant sites times the chance of each pattern in one, all parts."""
    return np.concatenate(
        [
            model.invariant * (model.frequencies @ possible)
            for model, possible in zip(models, common, strict=True)
        ]
    )


def _aligned(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """One flat copy that starts at a cache line: vectors of loads then never straddle two."""
    size = sum(array.size for array in arrays)
    room = np.empty(size + CACHE_LINE // 8)
    start = -room.ctypes.data % CACHE_LINE // 8
    flat = room[start : start + size]
    np.concatenate(arrays, out=flat)
    return flat


class TreeLikelihood:
    """Log-likelihoods of trees for given site patterns and model.

    Parameters
    ----------
    patterns : SitePatterns
    model : SiteModel or PartitionedModel
        Of as many parts as the patterns.
    general : bool
        Use the general kernel even where a closed form exists (for tests and benchmarks).
    """

    def __init__(
        self,
        patterns: SitePatterns,
        model: SiteModel | PartitionedModel,
        general: bool = False,
    ):
        self.patterns = patterns
        if len(patterns.parts) != len(model.parts):
            raise ValueError(f"{len(patterns.parts)} parts, but {len(model.parts)} models")
        self._general = general
        variable_only = [one.variable_only for one in model.parts]
        self._data, self._common = _data_arrays(patterns.parts, variable_only)
        self._set_model(model)
        self.rescale = self.n_taxa > RESCALE_ABOVE

    def _set_model(self, model: SiteModel | PartitionedModel) -> None:
        self.model = model
        self.model_arrays = _model_arrays(model.parts, self._general)
        invariant = _invariant_shares(model.parts, self._common)
        self.data_arrays = self._data._replace(invariant=invariant)

    def with_model(self, model: SiteModel | PartitionedModel) -> TreeLikelihood:
        """Return the likelihood of the same data for another model with the same parts.

        Much faster than a new one, which lays the patterns out anew.

        Raises
        ------
        ValueError
            If one of the models is conditioned on variable sites and the other is not.
        """
        if [x.variable_only for x in model.parts] != [x.variable_only for x in self.model.parts]:
            raise ValueError("models of variable sites alone need a likelihood of their own")
        other = copy(self)
        other._set_model(model)
        return other

    @property
    def n_taxa(self) -> int:
        """Number of taxa."""
        return self.data_arrays.n_taxa

    def workspace(self, keep: bool = False):
        """Scratch arrays for `derivatives`, to be used by one thread at a time.

        ``keep``: with room for all tiles, as the walks need it.
        """
        return kernels.workspace(
            self.model_arrays, self.data_arrays, 2 * self.n_taxa - 2, self.rescale, keep
        )

    def workspace_bytes(self) -> int:
        """Return the size of a workspace with room for all tiles, in bytes."""
        tiles = self.data_arrays.table[:, 1] - self.data_arrays.table[:, 0]
        states = self.model_arrays.table[:, 1] * self.model_arrays.table[:, 2]
        # two arrays of partial likelihoods of all tiles, one of a tile; all others are small
        rows = 2 * (tiles @ states) + states.max()
        return int(8 * T * (2 * self.n_taxa - 2) * rows)

    def log_likelihood(self, tree: Tree) -> float:
        """Log-likelihood of one tree with branch lengths, nats."""
        return kernels.log_likelihood(
            self.model_arrays, self.data_arrays, tree.children, 0, _lengths(tree), self.rescale
        )

    def invariant_shares(self, shares: Sequence[np.ndarray]) -> np.ndarray:
        """Return the chance of each pattern to be invariant in M models, (M, n_tiles * T).

        Parameters
        ----------
        shares : sequence of ndarray, shape (M, K)
            Share of invariant sites times frequencies, of each part.
        """
        return np.hstack(
            [share @ possible for share, possible in zip(shares, self._common, strict=True)]
        )

    def log_likelihoods_of_models(
        self, tree: Tree, lengths: np.ndarray, models: ModelArrays, invariant: np.ndarray
    ) -> np.ndarray:
        """Return the log-likelihoods (M,) of a topology, each under a model of its own.

        Parameters
        ----------
        tree : Tree
            The topology.
        lengths : ndarray, shape (M, 2n-2), float64
        models : ModelArrays
            ``numbers`` has a row for each of the M, or one for all.
        invariant : ndarray, shape (M or 1, n_tiles * T), float64
            Of `invariant_shares`.
        """
        out = np.empty(len(lengths))
        log_likelihoods_of_models(
            models.table,
            np.ascontiguousarray(models.numbers),
            self.data_arrays,
            np.ascontiguousarray(invariant),
            tree.children,
            np.ascontiguousarray(lengths),
            self.rescale,
            out,
        )
        return out

    def derivatives(self, tree: Tree) -> tuple[float, np.ndarray, np.ndarray]:
        """Log-likelihood and its first and second derivative by each branch length.

        Returns
        -------
        value : float
        first, second : ndarray, shape (2n-2,)
            Entry v belongs to the branch above node v; entry 0 is 0.
        """
        first, second = np.zeros(2 * self.n_taxa - 2), np.zeros(2 * self.n_taxa - 2)
        order = np.empty(2 * self.n_taxa - 2, np.int32)
        count = kernels.postorder(tree.children, tree.children[0, 0], order)
        value = kernels.derivatives(
            self.model_arrays,
            self.data_arrays,
            tree.children,
            0,
            order,
            count,
            _lengths(tree),
            self.rescale,
            self.workspace(),
            False,
            first,
            second,
        )
        return value, first, second


def _lengths(tree: Tree) -> np.ndarray:
    if tree.lengths is None:
        raise ValueError("the tree has no branch lengths")
    return tree.lengths
