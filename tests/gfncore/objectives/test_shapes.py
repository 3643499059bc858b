"""Shapes of a loss: even, zero at zero, close to the square there."""

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
    assert torch.allclose(values, f(-X))
    assert float(f(torch.zeros(()))) == 0.0
    assert (values >= 0.0).all()
    assert (values[121:].diff() > 0.0).all()
    small = torch.tensor([-1e-2, 1e-2], dtype=torch.float64)
    assert torch.allclose(f(small), small.square(), rtol=1e-3)


def test_pseudo_huber_grows_linearly():
    f = shape("pseudo_huber")
    x = X.clone().requires_grad_()
    f(x).sum().backward()
    assert x.grad is not None
    assert (x.grad.abs() < 2.0).all()
    assert float(x.grad[-1]) == pytest.approx(2.0, abs=0.01)
    assert float(f(torch.tensor(1e8))) == pytest.approx(2e8, rel=1e-6)


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
