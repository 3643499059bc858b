"""Densities of what actions carry: they integrate to one, and draws are theirs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import gamma, kstest, norm

from gfncore.graph_batch import GraphBatch, ValueQueries
from gfncore.policies import Backbone, HeadSpec, Policy, ValueHead, ValueSpec
from gfncore.policies.values import (
    LEAST_MASS,
    PLACES,
    SHAPES,
    SHARES,
    WIDE,
    WIDE_EXTRA,
    WIDE_SPREAD,
    WIDTHS,
)

HIDDEN, FEATURES = 8, 5


def made_up(shape, seed=0, **spec):
    """A head with random weights."""
    torch.manual_seed(seed)
    head = ValueHead(ValueSpec(shape, FEATURES, **spec), HIDDEN)
    with torch.no_grad():
        head.last.weight.normal_(std=0.15)
        head.last.bias.normal_(std=0.3)
    return head


def graph(n, features, values=None, noise=None, present=None):
    """n queries about the one pair of a graph of two nodes."""
    both = torch.ones((n, 2), dtype=torch.bool)
    return GraphBatch(
        node_features=torch.zeros(2, 1),
        node_graph=torch.zeros(2, dtype=torch.int64),
        graph_type=torch.zeros(1, dtype=torch.int64),
        edge_index=torch.zeros((2, 0), dtype=torch.int64),
        edge_type=torch.zeros(0, dtype=torch.int64),
        action_state=torch.zeros(1, dtype=torch.int64),
        action_index=torch.zeros(1, dtype=torch.int64),
        pairs=torch.tensor([[0], [1]]),
        queries=ValueQueries(
            torch.zeros(n, dtype=torch.int64),
            torch.as_tensor(features, dtype=torch.float32).expand(n, 2, FEATURES),
            both if present is None else present,
            values,
            noise,
        ),
    )


def some_features(place=(-2.0, -3.5), log_spread=(-0.7, 0.1)):
    out = np.zeros((2, FEATURES))
    out[:, 0], out[:, 1] = place, log_spread
    out[:, 2:] = [[0.3, -1.0, 2.0], [1.0, 0.2, -0.5]]
    return out


NODES = torch.linspace(-1.0, 1.0, 2 * HIDDEN).reshape(2, HIDDEN)
GRID = np.linspace(-50.0, 12.0, 15_001)  # of log x


def log_density(head, values, present=None, features=None, temperature=1.0):
    given = some_features() if features is None else features
    asked = graph(len(values), given, torch.as_tensor(values), present=present)
    with torch.no_grad():
        return head(NODES, asked, temperature)[1].numpy()


def first_alone(n):
    return torch.tensor([[True, False]]).expand(n, 2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_densities_integrate_to_one(shape, temperature):
    head = made_up(shape, low=1e-3, high=0.6, bins=20)
    x = np.exp(GRID)
    one = np.stack([x, np.zeros_like(x)], axis=1)
    first = np.exp(log_density(head, one, first_alone(len(x)), temperature=temperature) + GRID)
    assert np.trapezoid(first, GRID) == pytest.approx(1.0, abs=2e-3)
    for before in (0.02, 0.3):  # the second, given the first
        two = np.stack([np.full_like(x, before), x], axis=1)
        joint = np.exp(log_density(head, two, temperature=temperature) + GRID)
        alone = log_density(head, two[:1], first_alone(1), temperature=temperature)[0]
        assert np.trapezoid(joint, GRID) == pytest.approx(np.exp(alone), rel=4e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_have_their_density(shape):
    """Kolmogorov's test of 8,000 draws of each number, against the integrated density."""
    head = made_up(shape, 1, low=1e-3, high=0.6, bins=20)
    rng = np.random.default_rng(4)
    asked = graph(8_000, some_features(), noise=torch.from_numpy(rng.random((8_000, 2, 2))))
    with torch.no_grad():
        values, log_densities = head(NODES, asked)
    np.testing.assert_allclose(log_density(head, values), log_densities.numpy(), rtol=1e-6)
    x = np.exp(GRID)
    one = np.stack([x, np.zeros_like(x)], axis=1)
    density = np.exp(log_density(head, one, first_alone(len(x))) + GRID)
    cumulative = np.cumsum(density) * (GRID[1] - GRID[0])

    def below(y):
        return np.interp(y, GRID, cumulative)

    assert kstest(np.log(values[:, 0].numpy()), below).pvalue > 1e-3
    # the second: probability integral transform under its own condition, on some of the draws
    levels = []
    for first, second in values[:100].numpy():
        coarse = GRID[::5]
        two = np.stack([np.full_like(coarse, first), np.exp(coarse)], axis=1)
        d = np.exp(log_density(head, two) + coarse)
        levels.append(d[coarse <= np.log(second)].sum() / d.sum())
    assert kstest(levels, "uniform").pvalue > 1e-3


def test_an_untrained_mixture_is_what_the_environment_says():
    torch.manual_seed(0)
    head = ValueHead(ValueSpec("lognormal", FEATURES), HIDDEN)
    features = some_features()
    place, spread = features[0, 0], np.exp(features[0, 1])
    x = np.array([[0.01, 0.0], [0.2, 0.0], [3.0, 0.0]])
    found = log_density(head, x, first_alone(3))
    y = np.log(x[:, 0])
    share = np.array(SHARES) / sum(SHARES)
    plain = sum(
        (1.0 - WIDE) * s * norm.pdf(y, place + spread * o, spread * w)
        for s, o, w in zip(share, PLACES, WIDTHS, strict=True)
    ) + WIDE * norm.pdf(y, place, WIDE_SPREAD * spread + WIDE_EXTRA)
    np.testing.assert_allclose(found, np.log(plain) - y, rtol=1e-6)


def test_untrained_bins_follow_a_gamma_distribution():
    torch.manual_seed(0)
    head = ValueHead(ValueSpec("bins", FEATURES, bins=400, low=1e-4, high=10.0), HIDDEN)
    features = some_features(log_spread=(-0.3, 0.1))
    place, spread = features[0, 0], np.exp(features[0, 1])
    shape = brentq(lambda a: polygamma(1, a) - spread**2, 0.1, 100.0)
    scale = np.exp(place - digamma(shape))
    edges = np.exp(np.linspace(np.log(1e-4), np.log(10.0), 401))
    inside = np.stack([0.5 * (edges[1:] + edges[:-1]), np.zeros(400)], axis=1)
    mass = np.exp(log_density(head, inside, first_alone(400), features)) * np.diff(edges)
    expected = np.diff(gamma.cdf(edges, shape, scale=scale))
    assert np.abs(mass - expected).sum() < 0.05  # the shape is found by a formula that is close
    ends = log_density(head, np.array([[1e-9, 0.0], [9e-5, 0.0]]), first_alone(2), features)
    assert ends[0] == ends[1]  # even below the first edge
    wide = norm.cdf((np.log(1e-4) - place) / (WIDE_SPREAD * spread + WIDE_EXTRA))
    first = gamma.cdf(1e-4, shape, scale=scale) + LEAST_MASS + WIDE * wide
    assert np.exp(ends[0]) * 1e-4 == pytest.approx(first, rel=0.1)
    beyond = log_density(head, np.array([[10.5, 0.0], [30.5, 0.0]]), first_alone(2), features)
    assert beyond[0] - beyond[1] == pytest.approx(2.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_second_number_reads_the_first(shape):
    head = made_up(shape, 2)
    values = np.array([[0.05, 0.03], [0.4, 0.03]])
    both = log_density(head, values)
    alone = log_density(head, values, first_alone(2))
    second = both - alone
    assert abs(second[0] - second[1]) > 1e-3


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_reach_the_network(shape):
    head = made_up(shape, 3)
    asked = graph(4, some_features(), torch.full((4, 2), 0.1, dtype=torch.float64))
    head(NODES, asked)[1].sum().backward()
    for p in (head.first.weight, head.second.weight, head.last.weight):
        assert p.grad is not None and p.grad.isfinite().all() and p.grad.abs().max() > 0


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="gamma"):
        ValueSpec("gamma", FEATURES)
    with pytest.raises(ValueError, match="bins"):
        ValueSpec("bins", FEATURES, bins=0)
    with pytest.raises(ValueError, match="place"):
        ValueSpec("bins", 1)
    policy = Policy(Backbone(1, hidden=HIDDEN), [HeadSpec("pair")])
    asked = graph(1, some_features(), torch.full((1, 2), 0.1, dtype=torch.float64))
    with pytest.raises(ValueError, match="without them"):
        policy(asked)
