"""Muon: orthogonalised steps for matrices, Adam's for the rest."""

import pytest
import torch

from gfncore.training.optimisers import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(6, 6), (3, 9), (9, 3), (1, 5)])
def test_singular_values_are_near_one_and_vectors_stay(shape):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    y = orthogonalised(x)
    found = u.T @ y @ v.T
    assert torch.allclose(found, torch.diag(torch.diagonal(found)), atol=1e-8)
    kept = torch.diagonal(found)[s > 0.05 * x.norm()]
    assert bool(((kept > 0.6) & (kept < 1.3)).all())


def test_what_is_no_matrix_follows_adam():
    start = torch.tensor([1.0, -2.0, 3.0])
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimisers = [
        Muon([{"params": [ours], "lr": 0.1}]),
        torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.99)),
    ]
    for _ in range(20):
        for parameter, optimiser in zip((ours, theirs), optimisers, strict=True):
            optimiser.zero_grad()
            ((parameter - 0.5) ** 4).sum().backward()
            optimiser.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_matrix_steps_by_the_rate_whatever_the_gradient():
    w = torch.nn.Parameter(torch.zeros(4, 4))
    optimiser = Muon([w], lr=0.01, matrix_scale=2.0)
    (1e-4 * torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0])) * w).sum().backward()
    optimiser.step()
    size = torch.linalg.svdvals(w.detach())
    assert bool(((size > 0.6 * 0.02) & (size < 1.3 * 0.02)).all())


def test_state_can_be_kept_and_put_back():
    def run(steps, state=None):
        torch.manual_seed(2)
        layer = torch.nn.Linear(3, 3)
        optimiser = Muon(layer.parameters())
        if state is not None:
            layer.load_state_dict(state[0])
            optimiser.load_state_dict(state[1])
        for _ in range(steps):
            optimiser.zero_grad()
            layer(torch.ones(2, 3)).square().sum().backward()
            optimiser.step()
        return layer, optimiser

    whole, _ = run(6)
    half = run(3)
    again, _ = run(3, [m.state_dict() for m in half])
    torch.testing.assert_close(again.weight, whole.weight)
    torch.testing.assert_close(again.bias, whole.bias)
