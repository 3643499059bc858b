"""The likelihood of trees under one model and one alignment.

`TreeLikelihood` binds site patterns to a substitution model and lays both out as the kernels in
`phylogfn.kernels` read them.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phylogfn.kernels import pruning_numba as kernels

if TYPE_CHECKING:
    from phylogfn.alignments.patterns import SitePatterns
    from phylogfn.models import SubstitutionModel
    from phylogfn.trees.tree import Tree

__all__ = ["DataArrays", "ModelArrays", "TreeLikelihood"]

CACHE_LINE = 64  # bytes
RESCALE_ABOVE = 120  # taxa; below, float64 holds every partial (tested to 1000 with rescaling)


class ModelArrays(NamedTuple):
    """A substitution model as the kernels read it.

    Attributes
    ----------
    kind : int
        0: equal-input model of DNA, one category, no invariant sites; 1: any reversible model.
    beta : float
        Decay of kind 0 per expected substitution, 1 / (1 - sum pi^2).
    freqs : ndarray, shape (K,)
    rates, category_weights : ndarray, shape (C,)
    q, qt : ndarray, shape (K, K)
        Rate matrix, and transposed.
    right, values, left : ndarray, shapes (K, K), (K,), (K, K)
        Eigen-decomposition, Q = right diag(values) left.
    """

    kind: int
    beta: float
    freqs: np.ndarray
    rates: np.ndarray
    category_weights: np.ndarray
    q: np.ndarray
    qt: np.ndarray
    right: np.ndarray
    values: np.ndarray
    left: np.ndarray


class DataArrays(NamedTuple):
    """Site patterns as the kernels read them, in tiles of T, the last one padded by weight 0.

    Attributes
    ----------
    n_taxa : int
    tips : ndarray, shape (n_tiles * n * K * T,), float64
        1 for each state that is possible, ``[tile, taxon, state, pattern]``.
    weights, invariant : ndarray, shape (n_tiles * T,), float64
        Sites of each pattern; share of invariant sites times the chance of the pattern in one.
    masks : ndarray, shape (n_tiles * n * T,), int16
        The tips of DNA once more, ``[tile, taxon, pattern]``: bit s is set if state s is possible,
        and the number of possible states stands above the four bits. Empty for other data.
    """

    n_taxa: int
    tips: np.ndarray
    weights: np.ndarray
    invariant: np.ndarray
    masks: np.ndarray


def _is_equal_input(model: SubstitutionModel) -> bool:
    """True for DNA with equal exchangeabilities, one category and no invariant sites."""
    several = model.category_rates.size > 1 or model.invariant > 0.0
    if several or model.frequencies.size != 4:
        return False
    upper = model.exchangeabilities[np.triu_indices(model.frequencies.size, 1)]
    return bool(np.all(upper == upper[0]))


def _model_arrays(model: SubstitutionModel, general: bool) -> ModelArrays:
    def contiguous(x: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x, dtype=np.float64)

    freqs = contiguous(model.frequencies)
    right, values, left = model.eigen()
    return ModelArrays(
        kind=0 if _is_equal_input(model) and not general else 1,
        beta=float(1.0 / (1.0 - np.sum(freqs**2))),
        freqs=freqs,
        rates=contiguous(model.category_rates),
        category_weights=contiguous(model.category_weights),
        q=contiguous(model.Q),
        qt=contiguous(model.Q.T),
        right=contiguous(right),
        values=contiguous(values),
        left=contiguous(left),
    )


def _possible_constants(patterns: SitePatterns) -> np.ndarray:
    """Whether all taxa may have a state, shape (K, n_tiles * T), float64."""
    possible = np.all(patterns.tip_partials() > 0.0, axis=0)
    n_tiles = -(-possible.shape[1] // kernels.T)
    padded = np.ones((len(possible), n_tiles * kernels.T))
    padded[:, : possible.shape[1]] = possible
    return padded


def _data_arrays(
    patterns: SitePatterns, model: SubstitutionModel, constant: np.ndarray
) -> DataArrays:
    partials = patterns.tip_partials()  # n x K x P
    n, n_states, n_patterns = partials.shape
    n_tiles = -(-n_patterns // kernels.T)
    padded = np.ones((n, n_states, n_tiles * kernels.T))
    padded[:, :, :n_patterns] = partials
    weights = np.zeros(n_tiles * kernels.T)
    weights[:n_patterns] = patterns.weights
    tips = padded.reshape(n, n_states, n_tiles, kernels.T).transpose(2, 0, 1, 3)
    invariant = model.invariant * (model.frequencies @ constant)
    possible = tips.astype(np.int16)
    masks = np.zeros((0, 0, 0), np.int16)
    if n_states == 4:
        bits = np.array([1, 2, 4, 8], np.int16)[:, None]
        masks = (possible * bits).sum(axis=2) + 16 * possible.sum(axis=2)
    return DataArrays(
        n,
        _aligned(tips),
        weights,
        invariant,
        np.ascontiguousarray(masks, np.int16).ravel(),
    )


def _aligned(array: np.ndarray) -> np.ndarray:
    """A flat copy that starts at a cache line: vectors of loads then never straddle two."""
    room = np.empty(array.size + CACHE_LINE // array.itemsize, array.dtype)
    start = -room.ctypes.data % CACHE_LINE // array.itemsize
    flat = room[start : start + array.size]
    flat[:] = array.ravel()
    return flat


class TreeLikelihood:
    """Log-likelihoods of trees for given site patterns and model.

    Parameters
    ----------
    patterns : SitePatterns
    model : SubstitutionModel
    general : bool
        Use the general kernel even where a closed form exists (for tests and benchmarks).
    """

    def __init__(self, patterns: SitePatterns, model: SubstitutionModel, general: bool = False):
        self.patterns = patterns
        self.model = model
        self.model_arrays = _model_arrays(model, general)
        self._constant = _possible_constants(patterns)
        self.data_arrays = _data_arrays(patterns, model, self._constant)
        self.rescale = self.n_taxa > RESCALE_ABOVE

    @property
    def n_taxa(self) -> int:
        """Number of taxa."""
        return self.data_arrays.n_taxa

    def with_model(self, model: SubstitutionModel) -> TreeLikelihood:
        """Return the likelihood of the same patterns under another model, quickly."""
        other = copy.copy(self)
        other.model = model
        other.model_arrays = _model_arrays(model, general=self.model_arrays.kind != 0)
        other.data_arrays = self.data_arrays._replace(
            invariant=model.invariant * (model.frequencies @ self._constant)
        )
        return other

    def workspace(self):
        """Scratch arrays for `derivatives`, to be used by one thread at a time."""
        return kernels.workspace(
            2 * self.n_taxa - 2,
            self.model_arrays.rates.size,
            self.model_arrays.freqs.size,
            self.model_arrays.kind,
            self.rescale,
            1,
        )

    def log_likelihood(self, tree: Tree) -> float:
        """Log-likelihood of one tree with branch lengths, nats."""
        return kernels.log_likelihood(
            self.model_arrays, self.data_arrays, tree.children, 0, _lengths(tree), self.rescale
        )

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
