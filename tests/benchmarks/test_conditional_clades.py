"""The conditional clade distribution: normalised, exact to its draws, right on small cases."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import chi2

from benchmarks.phylogfn.conditional_clades import (
    ConditionalClades,
    clade_masks,
    fit_conditional_clades,
)


def every_topology(n_taxa: int) -> np.ndarray:
    """Parent arrays of all (2n-5)!! topologies, by inserting taxa at every edge."""
    start = np.full(2 * n_taxa - 2, -1, dtype=np.int32)
    start[n_taxa], start[1], start[2] = 0, n_taxa, n_taxa
    trees = [start]
    for taxon in range(3, n_taxa):
        middle = n_taxa + taxon - 2
        grown = []
        for tree in trees:
            for node in np.flatnonzero(tree >= 0):
                child = tree.copy()
                child[middle], child[node], child[taxon] = tree[node], middle, middle
                grown.append(child)
        trees = grown
    return np.array(trees)


def slow_splits(parent: np.ndarray) -> dict[frozenset[int], frozenset[frozenset[int]]]:
    """Clade -> its two children, by plain recursion."""
    n_taxa = len(parent) // 2 + 1
    found = {}

    def clade(node: int) -> frozenset[int]:
        if node < n_taxa:
            return frozenset([node])
        children = frozenset(clade(int(child)) for child in np.flatnonzero(parent == node))
        whole = frozenset(itertools.chain(*children))
        found[whole] = children
        return whole

    clade(int(np.flatnonzero(parent == 0)[0]))
    return found


def slow_log_density(sample: np.ndarray, weights: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The definition, with dictionaries."""
    clade_weight: dict = {}
    split_weight: dict = {}
    for parent, weight in zip(sample, weights, strict=True):
        for clade, children in slow_splits(parent).items():
            clade_weight[clade] = clade_weight.get(clade, 0.0) + weight
            split_weight[clade, children] = split_weight.get((clade, children), 0.0) + weight
    result = []
    for parent in queries:
        density = 1.0
        for clade, children in slow_splits(parent).items():
            if (clade, children) not in split_weight:
                density = 0.0
                break
            density *= split_weight[clade, children] / clade_weight[clade]
        result.append(np.log(density) if density else -np.inf)
    return np.array(result)


def random_parents(n_taxa: int, n_trees: int, rng: np.random.Generator) -> np.ndarray:
    """Random topologies by insertion at uniform edges."""
    trees = np.full((n_trees, 2 * n_taxa - 2), -1, dtype=np.int32)
    for tree in trees:
        tree[n_taxa], tree[1], tree[2] = 0, n_taxa, n_taxa
        for taxon in range(3, n_taxa):
            middle = n_taxa + taxon - 2
            node = rng.choice(np.flatnonzero(tree >= 0))
            tree[middle], tree[node], tree[taxon] = tree[node], middle, middle
    return trees


@pytest.fixture(params=[5, 6])
def enumerated(request: pytest.FixtureRequest) -> np.ndarray:
    return every_topology(request.param)


def fitted(trees: np.ndarray) -> tuple[ConditionalClades, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    sample = trees[rng.choice(len(trees), 9, replace=False)]
    weights = rng.dirichlet(np.ones(len(sample)))
    return fit_conditional_clades(sample, weights), sample, weights


def test_masks_hold_the_taxa_below() -> None:
    # (0, ((1, 3), (2, 4))) with internal nodes 5 = root, 6 = {1, 3}, 7 = {2, 4}
    parents = np.array([[-1, 6, 7, 6, 7, 0, 5, 5]], dtype=np.int32)
    assert clade_masks(parents)[0, 5:, 0].tolist() == [0b11110, 0b01010, 0b10100]


def test_density_agrees_with_the_definition(enumerated: np.ndarray) -> None:
    distribution, sample, weights = fitted(enumerated)
    expected = slow_log_density(sample, weights, enumerated)
    np.testing.assert_allclose(distribution.log_density(enumerated), expected, rtol=1e-12)


def test_density_sums_to_one(enumerated: np.ndarray) -> None:
    distribution, _, _ = fitted(enumerated)
    density = np.exp(distribution.log_density(enumerated))
    assert density.sum() == pytest.approx(1.0, abs=1e-12)
    assert 9 <= np.count_nonzero(density) < len(enumerated)


def test_all_topologies_equally_weighted_need_no_approximation(enumerated: np.ndarray) -> None:
    distribution = fit_conditional_clades(enumerated)
    density = np.exp(distribution.log_density(enumerated))
    np.testing.assert_allclose(density, 1.0 / len(enumerated), rtol=1e-12)


def test_draws_follow_the_density(enumerated: np.ndarray) -> None:
    distribution, _, _ = fitted(enumerated)
    n_draws = 20_000
    draws, log_density = distribution.sample(n_draws, np.random.default_rng(1))
    np.testing.assert_allclose(log_density, distribution.log_density(draws), rtol=1e-12)
    density = np.exp(distribution.log_density(enumerated))
    number = {frozenset(slow_splits(tree)): i for i, tree in enumerate(enumerated)}
    keys, counts = np.unique(draws, axis=0, return_counts=True)
    observed = np.zeros(len(enumerated))
    for parent, count in zip(keys, counts, strict=True):
        observed[number[frozenset(slow_splits(parent))]] += count
    assert not observed[density == 0.0].any()
    support = density > 0.0
    expected = n_draws * density[support]
    statistic = ((observed[support] - expected) ** 2 / expected).sum()
    assert chi2.sf(statistic, support.sum() - 1) > 1e-3


@pytest.mark.parametrize("n_taxa", [27, 64, 70])
def test_many_taxa(n_taxa: int) -> None:
    rng = np.random.default_rng(n_taxa)
    sample = random_parents(n_taxa, 20, rng)
    distribution = fit_conditional_clades(sample)
    expected = slow_log_density(sample, np.ones(20), sample)
    np.testing.assert_allclose(distribution.log_density(sample), expected, rtol=1e-12)
    draws, log_density = distribution.sample(50, rng)
    np.testing.assert_allclose(log_density, distribution.log_density(draws), rtol=1e-12)
    assert np.isneginf(distribution.log_density(random_parents(n_taxa, 5, rng))).all()


def test_numbers_of_internal_nodes_do_not_matter(enumerated: np.ndarray) -> None:
    distribution, sample, _ = fitted(enumerated)
    n_nodes = enumerated.shape[1]
    n_taxa = n_nodes // 2 + 1
    order = np.random.default_rng(3).permutation(np.arange(n_taxa, n_nodes))
    renumber = np.concatenate([np.arange(n_taxa), order])
    shuffled = np.empty_like(sample)
    shuffled[:, renumber] = np.where(sample < 0, -1, renumber[sample])
    np.testing.assert_allclose(
        distribution.log_density(shuffled), distribution.log_density(sample), rtol=1e-12
    )


def test_weights_are_checked(enumerated: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no tree of positive weight"):
        fit_conditional_clades(enumerated, np.zeros(len(enumerated)))
    with pytest.raises(ValueError, match="non-negative"):
        fit_conditional_clades(enumerated, -np.ones(len(enumerated)))
