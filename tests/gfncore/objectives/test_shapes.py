"""Shapes of a loss: zero at zero, close to the square there, and their divergences."""

from __future__ import annotations

import pytest
import torch

from gfncore.objectives.base import make_objective
from gfncore.objectives.shapes import SHAPES, shape
from gfncore.trajectories.batch import ScoredTrajectories

X = torch.linspace(-30.0, 30.0, 241, dtype=torch.float64)


@pytest.mark.parametrize("name", SHAPES)
def test_what_every_shape_promises(name):
    f = shape(name)
    values = f(X)
    assert float(f(torch.zeros(()))) == 0.0
    assert (values >= 0.0).all()
    assert (values[120:].diff() > 0.0).all() and (values[:121].diff() < 0.0).all()
    small = torch.tensor([-1e-3, 1e-3], dtype=torch.float64)
    assert torch.allclose(f(small), small.square(), rtol=1e-3)
    if name != "linex":
        assert torch.allclose(values, f(-X))


def test_formulas():
    torch.testing.assert_close(shape("linex")(X), 2.0 * ((-X).exp() + X - 1.0))
    torch.testing.assert_close(shape("shifted_cosh")(X), X.exp() + (-X).exp() - 2.0)


def test_pseudo_huber_grows_linearly():
    f = shape("pseudo_huber")
    x = X.clone().requires_grad_()
    f(x).sum().backward()
    assert x.grad is not None
    assert (x.grad.abs() < 2.0).all()
    assert float(x.grad[-1]) == pytest.approx(2.0, abs=0.01)
    assert float(f(torch.tensor(1e8))) == pytest.approx(2e8, rel=1e-6)


@pytest.mark.parametrize(
    ("objective", "name"),
    [
        ("trajectory_balance", "square"),
        ("trajectory_balance", "linex"),
        ("log_variance", "square"),
    ],
)
def test_gradients_on_own_draws_are_those_of_a_divergence(name, objective):
    """The square: 2 KL(policy || target); linex: 2 KL(target || policy)."""
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(6, generator=g, dtype=torch.float64, requires_grad=True)
    log_target = torch.log_softmax(torch.randn(6, generator=g, dtype=torch.float64), 0)
    log_q = torch.log_softmax(logits, 0)
    # an outcome in proportion to its probability, as in an endless batch of draws
    shares = (log_q.detach().exp() * 200_000).round().long()
    rows = torch.repeat_interleave(torch.arange(6), shares)
    made = make_objective(objective, 0.0, name)
    log_pf = log_q[rows, None]
    batch = ScoredTrajectories(log_pf, torch.zeros_like(log_pf), log_target[rows])
    found = torch.autograd.grad(made(batch), logits, retain_graph=True)[0]
    p, q = log_target.exp(), log_q.exp()
    divergence = (
        (q * (log_q - log_target)).sum() if name == "square" else (p * (log_target - log_q)).sum()
    )
    expected = torch.autograd.grad(2.0 * divergence, logits)[0]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("objective", ["trajectory_balance", "log_variance"])
def test_a_draw_that_is_too_rare_weighs_more_by_linex(objective):
    """Every objective has the same sign of its residuals."""

    def loss(log_pf):
        one = torch.tensor([[log_pf], [0.0], [0.0], [0.0], [0.0]], dtype=torch.float64)
        batch = ScoredTrajectories(one, torch.zeros_like(one), torch.zeros(5).double())
        return float(make_objective(objective, 0.0, "linex")(batch).detach())

    assert loss(-4.0) > 5.0 * loss(4.0)


def test_unknown_shapes_are_named():
    with pytest.raises(ValueError, match="'cubic', but must be one of square, pseudo_huber"):
        shape("cubic")


def test_the_objective_takes_the_shape():
    log_pf = torch.tensor([[-1.0, -2.0], [-0.5, 0.0]], dtype=torch.float64)
    batch = ScoredTrajectories(
        log_pf, torch.zeros_like(log_pf), torch.tensor([4.0, 0.0], dtype=torch.float64)
    )
    residual = 1.5 + log_pf.sum(dim=1) - batch.log_reward
    for name, f in SHAPES.items():
        loss = make_objective("trajectory_balance", 1.5, name)(batch)
        assert float(loss.detach()) == pytest.approx(float(f(residual).mean()))
