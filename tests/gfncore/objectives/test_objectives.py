"""Objectives against their formulas."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gfncore.objectives.log_variance import LogVariance
from gfncore.objectives.maximum_likelihood import MaximumLikelihood, state_divergence
from gfncore.objectives.shapes import shape
from gfncore.objectives.trajectory_balance import TrajectoryBalance
from gfncore.trajectories.batch import ScoredTrajectories, StateTargets

FIELDS = ("log_pf", "log_pb", "log_reward", "condition", "scale")


def batch(n=7, steps=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    log_pf, log_pb = torch.randn(2, n, steps, generator=g, dtype=torch.float64)
    return ScoredTrajectories(
        log_pf.requires_grad_(), log_pb, torch.randn(n, generator=g, dtype=torch.float64)
    )


def test_log_variance_is_the_variance():
    b = batch()
    f = b.log_reward + b.log_pb.sum(1) - b.log_pf.sum(1)
    torch.testing.assert_close(LogVariance()(b), f.var(correction=0))
    assert LogVariance().log_partition(b) == pytest.approx(float(f.mean().detach()))


def test_robust_log_variance_is_held_against_the_median():
    """Outliers move neither the centre of the loss nor the log Z that it implies."""
    f = torch.tensor([2.1, 1.9, 2.0, 2.2, 1.8, -300.0, -500.0], dtype=torch.float64)
    b = ScoredTrajectories(torch.zeros(7, 2), torch.zeros(7, 2), f)
    objective = LogVariance("pseudo_huber")
    assert objective.log_partition(b) == 1.9
    expected = (2.0 * ((1.0 + (f - 1.9) ** 2).sqrt() - 1.0)).mean()
    torch.testing.assert_close(objective(b), expected)
    assert LogVariance().log_partition(b) == pytest.approx(float(f.mean()))


@pytest.mark.parametrize("kind", ["square", "pseudo_huber"])
def test_scaled_log_variance_has_the_best_centre(kind):
    """No other centre gives a smaller loss; with the median, none that is far from it."""
    b = batch(9)
    f = (b.log_reward + b.log_pb.sum(1) - b.log_pf.sum(1)).detach()
    scale = torch.linspace(1.0, 4.0, 9, dtype=torch.float64)
    scaled = replace(b, scale=scale)
    objective = LogVariance(kind)
    centre = objective.log_partition(scaled)
    loss = objective(scaled)
    torch.testing.assert_close(loss.detach(), shape(kind)((f - centre) / scale).mean())
    if kind == "square":
        mean = float((f / scale**2).sum() / (1.0 / scale**2).sum())
        assert centre == pytest.approx(mean)
    else:
        cost = [float(((f - c).abs() / scale).sum()) for c in f]
        assert centre == pytest.approx(float(f[int(np.argmin(cost))]))
    ones = replace(b, scale=torch.ones(9, dtype=torch.float64))
    torch.testing.assert_close(objective(ones), objective(b))
    tempered = replace(scaled, condition=torch.tensor([0.0] * 5 + [0.5] * 4).double())
    parts = [
        objective(replace(tempered, **{k: getattr(tempered, k)[r] for k in FIELDS}))
        for r in (slice(0, 5), slice(5, 9))
    ]
    torch.testing.assert_close(objective(tempered), (5 * parts[0] + 4 * parts[1]) / 9)


def test_balance_is_zero_where_weights_are_equal():
    b = batch()
    exact = b.log_pf.sum(1) - b.log_pb.sum(1) + 2.5
    b = ScoredTrajectories(b.log_pf, b.log_pb, exact.detach())
    assert float(TrajectoryBalance(2.5)(b).detach()) == pytest.approx(0.0, abs=1e-20)
    assert float(LogVariance()(b).detach()) == pytest.approx(0.0, abs=1e-20)


def test_maximum_likelihood_is_its_formula():
    b = batch()
    torch.testing.assert_close(MaximumLikelihood()(b), -b.log_pf.sum(1).mean())


def test_concat_pads_steps():
    both = ScoredTrajectories.concat([batch(3, 2), batch(5, 4)])
    assert both.log_pf.shape == (8, 4)
    assert bool((both.log_pf[:3, 2:] == 0).all())


def test_state_divergence_is_a_weighted_divergence(hypergrid):
    grid = hypergrid.Hypergrid(3)
    states = hypergrid.GridStates(np.array([[0, 0], [2, 0]]), np.zeros(2, bool))
    actions = grid.forward_actions(states)  # 3 and 2 classes
    targets = StateTargets(
        states, actions, np.array([0.2, 0.3, 0.5, 0.0, 1.0]), np.array([3.0, 1.0])
    )
    q = torch.tensor([0.1, 0.1, 0.8, 0.5, 0.5], dtype=torch.float64)
    first = 0.2 * np.log(2.0) + 0.3 * np.log(3.0) + 0.5 * np.log(0.5 / 0.8)
    expected = (3.0 * first + np.log(2.0)) / 4.0
    assert float(state_divergence(q.log(), targets)) == pytest.approx(expected)
