"""The kernels of Jukes and Cantor's model against the general kernel, which knows no masks."""

import numpy as np
import pytest

from phylogfn.alignments.patterns import SitePatterns
from phylogfn.kernels.tiles import T
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import SubstitutionModel
from phylogfn.trees.building import tree_from_edges
from phylogfn.trees.tree import random_topology

MODEL = SubstitutionModel("JC69", np.full(4, 0.25), 1.0 - np.eye(4), np.ones(1), np.ones(1))


def patterns_of(n_taxa, n_patterns, rng):
    """Every set of possible states, the empty one excepted; most of one state."""
    masks = np.left_shift(1, rng.integers(0, 4, (n_taxa, n_patterns)))
    ambiguous = rng.random(masks.shape) < 0.3
    masks[ambiguous] = rng.integers(1, 16, ambiguous.sum())
    weights = rng.integers(1, 5, n_patterns).astype(float)
    return SitePatterns(masks.astype(np.uint32), weights, np.arange(n_patterns, dtype=np.int32), 4)


def caterpillar(n):
    """Each join is of a tip and a clade, but for one cherry."""
    edges = [(n, 0), (n, 1)]
    for k in range(2, n - 1):
        edges += [(n + k - 1, n + k - 2), (n + k - 1, k)]
    return edges[: 2 * n - 4] + [(2 * n - 3, n - 1)]


def trees(n, rng):
    with_lengths = random_topology(n, rng)
    lengths = rng.exponential(0.2, 2 * n - 2)
    lengths[0] = 0.0
    yield type(with_lengths)(with_lengths.parent, with_lengths.children, lengths)
    edges = caterpillar(n)
    yield tree_from_edges(n, edges, list(rng.exponential(0.2, len(edges))))


@pytest.mark.parametrize(("n_taxa", "n_patterns"), [(4, 7), (9, 130), (40, 300)])
def test_value_and_derivatives_are_those_of_the_general_kernel(n_taxa, n_patterns):
    rng = np.random.default_rng(n_taxa)
    patterns = patterns_of(n_taxa, n_patterns, rng)
    ours = TreeLikelihood(patterns, MODEL)
    general = TreeLikelihood(patterns, MODEL, general=True)
    for tree in trees(n_taxa, rng):
        value, first, second = ours.derivatives(tree)
        expected, d1, d2 = general.derivatives(tree)
        assert value == pytest.approx(expected, rel=1e-11)
        assert ours.log_likelihood(tree) == pytest.approx(expected, rel=1e-11)
        np.testing.assert_allclose(first[1:], d1[1:], rtol=1e-8, atol=1e-7)
        np.testing.assert_allclose(second[1:], d2[1:], rtol=1e-8, atol=1e-6)


def test_masks_hold_what_tips_hold():
    patterns = patterns_of(5, 130, np.random.default_rng(3))
    data = TreeLikelihood(patterns, MODEL).data_arrays
    tips = data.tips.reshape(-1, 5, 4, T)
    masks = data.masks.reshape(-1, 5, T)
    for state in range(4):
        np.testing.assert_array_equal((masks >> state) & 1, tips[:, :, state])
    np.testing.assert_array_equal(masks >> 4, tips.sum(axis=2))
    assert data.tips.ctypes.data % 64 == 0
