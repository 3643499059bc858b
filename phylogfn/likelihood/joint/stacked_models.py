"""Models of many parameter vectors at once, as the kernels read them.

An importance draw of parameters needs one evaluation of the likelihood, and building its model one
by one in Python would cost as much. Here the models of M vectors theta are rows of an array
(`phylogfn.kernels.partitions_numba.ModelArrays`), with stacked eigendecompositions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainc, gammaincinv, gammaln

from phylogfn.models.dna import dna_exchangeabilities, dna_family
from phylogfn.models.mixtures import profiles
from phylogfn.models.partitioned import PartitionedSpec

if TYPE_CHECKING:
    from phylogfn.likelihood.tree_likelihood import TreeLikelihood
    from phylogfn.models import ModelSpec, SiteModel
    from phylogfn.models.parameters import Parameter
    from phylogfn.trees.tree import Tree

__all__ = ["StackedModels", "log_likelihoods", "log_priors", "stacked_models"]

OF_RATES = {"gamma_shape", "invariant", "free_rates", "rates"}  # leave the processes as they are


@dataclass(frozen=True)
class StackedModels:
    """Models of M vectors of parameters.

    Attributes
    ----------
    table : ndarray, shape (P, 5), int64
        Of the parts, as in `ModelArrays`.
    numbers : ndarray, shape (M, S), float64
        A row is the ``numbers`` of `ModelArrays`.
    invariant : ndarray, shape (M, n_tiles * T) or (1, n_tiles * T), float64
        A row is the ``invariant`` of `DataArrays`.
    """

    table: np.ndarray
    numbers: np.ndarray
    invariant: np.ndarray


def stacked_models(spec: ModelSpec, thetas: np.ndarray, like: TreeLikelihood) -> StackedModels:
    """Return the models at parameters ``thetas`` (M, d), those of `ModelSpec.build`.

    Parameters
    ----------
    spec : ModelSpec
        Of one or several parts.
    thetas : ndarray, shape (M, d), float64
        M > 0.
    like : TreeLikelihood
        Of the same data, under any model of ``spec``.
    """
    base = like.with_model(spec.build(thetas[0]))
    arrays = base.model_arrays
    table = arrays.table.copy()
    numbers = np.repeat(arrays.numbers[None], len(thetas), axis=0)
    rows = iter(zip(table, base.model.parts, strict=True))
    shares = _fill_parts(numbers, rows, spec, thetas, np.ones(len(thetas)))
    if all(not np.any(share) for share in shares):
        shares = [share[:1] for share in shares]
    return StackedModels(table, numbers, like.invariant_shares(shares))


def log_likelihoods(
    spec: ModelSpec, thetas: np.ndarray, like: TreeLikelihood, tree: Tree, lengths: np.ndarray
) -> np.ndarray:
    """Log likelihoods (M,) of a topology at parameters ``thetas`` (M, d) and lengths (M, 2n-2).

    Parameters
    ----------
    spec, thetas, like
        As `stacked_models` takes them.
    tree : Tree
        The topology.
    lengths : ndarray, shape (M, 2n-2), float64
    """
    stacked = stacked_models(spec, thetas, like)
    models = like.model_arrays._replace(table=stacked.table, numbers=stacked.numbers)
    return like.log_likelihoods_of_models(tree, lengths, models, stacked.invariant)


def log_priors(spec: ModelSpec, thetas: np.ndarray) -> np.ndarray:
    """Log prior densities (M,) of parameters ``thetas`` (M, d), those of `ModelSpec.log_prior`."""
    total = np.zeros(len(thetas))
    for parameter, piece in zip(spec.parameters, _pieces(spec, thetas), strict=True):
        total += _log_prior(parameter, piece)
    return total


def _pieces(spec: ModelSpec, thetas: np.ndarray) -> list[np.ndarray]:
    """Coordinates (M, n_free) of each parameter."""
    ends = np.cumsum([parameter.n_free for parameter in spec.parameters])
    return np.split(thetas, ends[:-1], axis=1) if ends.size else []


def _fill_parts(
    numbers: np.ndarray,
    rows: Iterator[tuple[np.ndarray, SiteModel]],
    spec: ModelSpec,
    thetas: np.ndarray,
    relative_rates: np.ndarray,
) -> list[np.ndarray]:
    """Fill the models of all parts of a specification into ``numbers`` (M, S).

    ``rows`` are those of the table, with a model of each part. Returns the shares of invariant
    sites in each state, each (M, K).
    """
    if not isinstance(spec, PartitionedSpec):
        n_parts = len(spec.build(thetas[0]).parts)
        return [
            _fill(numbers, row, spec, model, thetas, relative_rates)
            for row, model in itertools.islice(rows, n_parts)
        ]
    pieces = _pieces(spec, thetas)
    rates = np.ones((len(thetas), len(spec.parts)))
    if spec.parameters and spec.parameters[-1].name == "rates":
        sizes = np.array([part.n_sites for part in spec.parts], float)
        rates = _natural(spec.parameters[-1], pieces[-1]) * sizes.sum() / sizes
    shares = []
    for part, rate in zip(spec.parts, rates.T, strict=True):
        own = np.hstack([thetas[:, :0], *(pieces[number] for number in part.parameters)])
        shares += _fill_parts(numbers, rows, part.spec, own, relative_rates * rate)
    return shares


def _fill(
    numbers: np.ndarray,
    row: np.ndarray,
    spec: ModelSpec,
    model: SiteModel,
    thetas: np.ndarray,
    relative_rates: np.ndarray,
) -> np.ndarray:
    """Fill the models of one part into ``numbers`` (M, S).

    ``row`` is that of the part in the table; a kind that needs equal rates becomes the general one
    where rates are free. Returns the share of invariant sites in each state, shape (M, K).
    """
    values = {
        parameter.name: _natural(parameter, piece)
        for parameter, piece in zip(spec.parameters, _pieces(spec, thetas), strict=True)
    }
    if "kappa" in values or "exchangeabilities" in values:
        row[0] = 1
    kind, K, C, at, N = row.tolist()
    invariant = values.get("invariant", np.full((len(thetas), 1), model.invariant))
    rates, weights = _categories(spec, model, values)
    rates = rates / (np.sum(rates * weights, axis=1, keepdims=True) * (1.0 - invariant))
    rates = rates * relative_rates[:, None]
    first = at + 1 + 2 * N * K
    numbers[:, first : first + C] = rates
    numbers[:, first + C : first + 2 * C] = (1.0 - invariant) * weights
    frequencies = np.broadcast_to(model.frequencies, (len(thetas), model.n_states))
    if values.keys() <= OF_RATES:
        decay = np.full(len(thetas), model.decay)
    else:
        frequencies = values.get("frequencies", frequencies)
        _fill_process(numbers, row, _exchangeabilities(spec, model, values), frequencies)
        decay = 1.0 / (1.0 - np.sum(frequencies**2, axis=1))
    numbers[:, at] = decay * (rates[:, 0] if kind == 0 else 1.0)
    return invariant * frequencies


def _fill_process(
    numbers: np.ndarray, row: np.ndarray, exchangeabilities: np.ndarray, frequencies: np.ndarray
) -> None:
    """Fill frequencies, rate matrices and their eigendecompositions of one process."""
    _, K, C, at, _ = row.tolist()
    size, n = frequencies.shape
    Q = exchangeabilities * frequencies[:, None, :]
    states = np.arange(n)
    Q[:, states, states] = 0.0
    outflow = Q.sum(axis=2)
    Q[:, states, states] = -outflow
    Q /= np.sum(frequencies * outflow, axis=1)[:, None, None]
    root = np.sqrt(frequencies)
    symmetric = root[:, :, None] * Q / root[:, None, :]
    finite = np.isfinite(symmetric).all(axis=(1, 2))
    symmetric[~finite] = np.eye(n)
    values, vectors = np.linalg.eigh(0.5 * (symmetric + symmetric.transpose(0, 2, 1)))
    values[:, -1] = 0.0
    values = np.minimum(values, 0.0)
    values[~finite] = np.nan  # so that the likelihood is not a number either
    right = vectors / root[:, :, None]
    left = vectors.transpose(0, 2, 1) * root[:, None, :]
    numbers[:, at + 1 : at + 1 + n] = frequencies
    numbers[:, at + 1 + K : at + 1 + K + n] = values
    first = at + 1 + 2 * K + 2 * C
    for matrix in (Q, Q.transpose(0, 2, 1), right, left):
        block = numbers[:, first : first + K * K].reshape(size, K, K)
        block[:, :n, :n] = matrix
        numbers[:, first : first + K * K] = block.reshape(size, K * K)
        first += K * K


def _exchangeabilities(
    spec: ModelSpec, model: SiteModel, values: dict[str, np.ndarray]
) -> np.ndarray:
    """Exchangeabilities (M, K, K), or (1, K, K) if they are not free."""
    free = values.get("kappa", values.get("exchangeabilities"))
    if free is None:
        return model.process(0).exchangeabilities[None]
    family = dna_family(spec.family)
    # linear in the rates of the classes
    n = family.n_classes
    if family.has_kappa and free.shape[1] == 1:
        free = np.hstack([free, np.ones_like(free)])
    unit = np.array([dna_exchangeabilities(family, one) for one in np.eye(n)])
    return np.tensordot(free, unit, 1)


def _categories(
    spec: ModelSpec, model: SiteModel, values: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Rates of the variable sites in any unit, and weights with sum 1, each (M or 1, C)."""
    if "free_rates" in values:
        weights, rates = np.split(values["free_rates"], 2, axis=1)
    elif "gamma_shape" in values:
        rates = _gamma_rates(values["gamma_shape"], spec.n_categories)
        weights = np.full((1, spec.n_categories), 1.0 / spec.n_categories)
    else:
        return model.category_rates[None], model.category_weights[None] / (1.0 - model.invariant)
    if spec.profiles:
        share, _ = profiles(spec.profiles)
        weights = np.einsum("n,mc->mnc", share, weights).reshape(len(weights), -1)
        rates = np.tile(rates, (1, share.size))
    return rates, weights


def _gamma_rates(shapes: np.ndarray, n_categories: int) -> np.ndarray:
    """Rates (M, C) of `phylogfn.models.rates.gamma_category_rates` for shapes (M, 1)."""
    if n_categories == 1:
        return np.ones((len(shapes), 1))
    cuts = gammaincinv(shapes, np.arange(1, n_categories) / n_categories)
    inner = gammainc(shapes + 1.0, cuts)
    end = np.ones((len(shapes), 1))
    rates = np.diff(np.hstack([0.0 * end, inner, end]), axis=1)
    return rates / rates.mean(axis=1, keepdims=True)


def _natural(parameter: Parameter, theta: np.ndarray) -> np.ndarray:
    """Natural values (M, ...) of coordinates (M, n_free), those of `Parameter.to_natural`."""
    if parameter.kind == "positive":
        return np.exp(theta)
    if parameter.kind == "share":
        return 1.0 / (1.0 + np.exp(-theta))
    if parameter.kind == "simplex":
        padded = np.hstack([theta, np.zeros((len(theta), 1))])
        weights = np.exp(padded - padded.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)
    return np.array([parameter.to_natural(row) for row in theta])


def _log_prior(parameter: Parameter, theta: np.ndarray) -> np.ndarray:
    """Log densities (M,) of coordinates (M, n_free), those of `Parameter.log_prior`."""
    arguments = parameter.prior.arguments
    if parameter.kind == "simplex" and parameter.prior.family == "dirichlet":
        padded = np.hstack([theta, np.zeros((len(theta), 1))])
        log_x = padded - np.logaddexp.reduce(padded, axis=1)[:, None]
        alpha = np.broadcast_to(arguments, padded.shape[1])
        return gammaln(alpha.sum()) - gammaln(alpha).sum() + log_x @ alpha
    if parameter.kind == "positive" and parameter.prior.family == "exp":
        return np.log(arguments[0]) - arguments[0] * np.exp(theta[:, 0]) + theta[:, 0]
    return np.array([parameter.log_prior(row) for row in theta])
