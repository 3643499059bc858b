"""The running average of a policy's parameters."""

from __future__ import annotations

import pytest
import torch

from gfncore.training.averaging import AveragedPolicy


class Numbers(torch.nn.Module):
    """Stands for a policy: an average asks of it no more than parameters."""

    def __init__(self, value):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((3,), float(value)))


def moved(averaged, policy, values):
    for step, value in enumerate(values, start=1):
        with torch.no_grad():
            policy.weight.fill_(value)
        averaged.update(policy, step)
    return averaged.policy.weight[0].item()


def test_recursion_with_its_warm_up():
    policy = Numbers(5.0)
    averaged = AveragedPolicy(policy, 0.9)
    values = [1.0, -2.0, 0.5, 4.0]
    expected = 5.0
    for step, value in enumerate(values, start=1):
        decay = min(0.9, step / (step + 10.0))
        expected = decay * expected + (1.0 - decay) * value
    assert moved(averaged, policy, values) == pytest.approx(expected, rel=1e-6)


def test_each_update_is_one_interpolation_to_the_digit():
    generator = torch.Generator().manual_seed(2)
    policy = Numbers(0.3)
    averaged = AveragedPolicy(policy, 0.97)
    expected = policy.weight.detach().clone()
    for step in range(1, 60):
        with torch.no_grad():
            policy.weight.add_(torch.randn(3, generator=generator))
            expected.lerp_(policy.weight, 1.0 - min(0.97, step / (step + 10.0)))
        averaged.update(policy, step)
        assert torch.equal(averaged.policy.weight, expected)
    assert list(averaged.policy.state_dict()) == list(policy.state_dict())


def test_the_start_is_forgotten():
    policy = Numbers(1e6)
    averaged = AveragedPolicy(policy, 0.99)
    assert moved(averaged, policy, [2.0] * 100) == pytest.approx(2.0, abs=1e-3)


def test_without_decay_it_is_the_policy():
    policy = Numbers(1.0)
    averaged = AveragedPolicy(policy, 0.0)
    assert moved(averaged, policy, [3.0, 7.0]) == 7.0


def test_noise_is_averaged_out():
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(2000, generator=generator).tolist()
    policy = Numbers(0.0)
    found = []
    averaged = AveragedPolicy(policy, 0.98)
    for step, value in enumerate(noise, start=1):
        with torch.no_grad():
            policy.weight.fill_(value)
        averaged.update(policy, step)
        found.append(averaged.policy.weight[0].item())
    assert torch.tensor(found[500:]).std() < 0.2  # sqrt((1 - d) / (1 + d)) = 0.1


def test_the_average_is_apart_and_takes_no_gradient():
    policy = Numbers(1.0)
    averaged = AveragedPolicy(policy, 0.5)
    with torch.no_grad():
        policy.weight.fill_(9.0)
    assert averaged.policy.weight[0].item() == 1.0
    assert not averaged.policy.weight.requires_grad
    assert policy.weight.requires_grad


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2.0])
def test_decay_is_checked(decay):
    with pytest.raises(ValueError, match=f"decay is {decay}"):
        AveragedPolicy(Numbers(0.0), decay)
