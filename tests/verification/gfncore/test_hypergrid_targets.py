"""Trained on an 8 x 8 hypergrid, objectives reach the exact distribution, and draws agree."""

import copy
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gfncore.evaluation import (
    WeightedDraws,
    chi_squared,
    exact_distribution,
    total_variation,
)
from gfncore.exploration import sample_trajectories
from gfncore.objectives.base import make_objective
from gfncore.policies import Backbone, Policy
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.scoring import score_backward

pytestmark = pytest.mark.verification
LONG = pytest.mark.long

SOURCE = Path(__file__).parents[2] / "gfncore" / "hypergrid.py"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def grid():
    spec = importlib.util.spec_from_file_location("gfncore_hypergrid", SOURCE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Hypergrid(8)


@pytest.mark.long
@pytest.mark.parametrize("name", ["trajectory_balance", "log_variance", "maximum_likelihood"])
def test_target_and_log_partition(grid, name):
    torch.manual_seed(0)
    policy = Policy(Backbone(grid.features, relations=2))
    terminals = exact_distribution(grid).terminals
    log_reward = grid.log_reward(terminals)
    log_z = np.logaddexp.reduce(log_reward)
    target = np.exp(log_reward - log_z)

    def samples(generator):
        return terminals.take(generator.choice(64, size=512, p=target))

    on_policy = name != "maximum_likelihood"
    settings = TrainingSettings(
        steps=600,
        on_policy=64 if on_policy else 0,
        epsilon=0.05,
        learning_rate=5e-3,
        schedule="cosine",
    )
    trainer = Trainer(
        grid,
        policy,
        make_objective(name),
        settings,
        np.random.default_rng(0),
        terminal_batches=None if on_policy else samples,
    )
    trainer.run()
    exact = exact_distribution(grid, policy)
    distance = total_variation(exact.probability, target)
    drawn = sample_trajectories(grid, policy, 20_000, np.random.default_rng(1))
    log_weights = (
        grid.log_reward(drawn.terminals) + score_backward(grid, None, drawn).sum(1).numpy()
    ) - drawn.log_pf
    estimate = WeightedDraws(log_weights).estimate()
    error = estimate.standard_error
    counts = np.bincount(exact.rows(grid.keys(drawn.terminals)), minlength=64)
    fit = chi_squared(counts, exact.probability)
    print(
        f"{name}: total variation {distance:.4f}, log Z {estimate.log_z - log_z:+.4f} "
        f"+- {error:.4f} "
        f"from the truth, effective draws {estimate.effective_share:.2f}, "
        f"k-hat {estimate.pareto_k:.2f}, "
        f"chi-squared p {fit.p_value:.2f}, {trainer.seconds:.0f} s"
    )
    assert distance <= 0.02
    assert abs(estimate.log_z - log_z) < 4 * error + 1e-4
    assert fit.p_value > 1e-4
    assert estimate.effective_share > 0.5


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=LONG), pytest.param(5, marks=LONG)])
@pytest.mark.parametrize(
    "name",
    [
        "trajectory_balance",
        "log_variance",
        "detailed_balance",
        "sub_trajectory_balance",
        "flow_matching",
        "learned_energy_decomposition",
        "modified_detailed_balance",
        "relative_trajectory_balance",
    ],
)
def test_every_objective_of_own_draws_reaches_its_target(grid, name, seed):
    """In 250 steps; the target of fine-tuning is the prior times the reward."""
    torch.manual_seed(seed)
    objective = make_objective(name)
    policy = Policy(Backbone(grid.features, relations=2, rounds=3), flow=objective.needs_flow)
    prior = None
    if objective.needs_prior:
        torch.nn.init.normal_(policy.heads[0].last.weight, std=0.3)
        prior = copy.deepcopy(policy)
    before = exact_distribution(grid, prior)
    log_mass = grid.log_reward(before.terminals)
    if prior is not None:
        log_mass = log_mass + np.log(before.probability)
    log_z = np.logaddexp.reduce(log_mass)
    settings = TrainingSettings(
        250,
        epsilon=0.1,
        optimiser="muon",
        learning_rate=1e-2,
        schedule="cosine",
        clip_norm=10.0,
    )
    rng = np.random.default_rng(seed)
    energies = None
    if objective.needs_step_energies:
        energies = Policy(Backbone(grid.features, relations=2, rounds=3))
    trainer = Trainer(grid, policy, objective, settings, rng, prior=prior, step_energies=energies)
    seen = []
    trainer.run(seen.append)
    exact = exact_distribution(grid, policy)
    place = before.rows(grid.keys(exact.terminals))
    distance = total_variation(exact.probability, np.exp(log_mass[place] - log_z))
    error = seen[-1]["log_z"] - log_z
    print(f"{name}, seed {seed}: total variation {distance:.4f}, log Z {error:+.4f}")
    assert distance <= 0.02
    assert abs(error) <= 0.02
