"""The estimated probability of a molecule beside the exact one and beside frequencies."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch

from gfncore.evaluation import chi_squared
from gfncore.exploration import sample_trajectories
from molgen.environments.atoms import AtomEnvironment
from molgen.environments.fragments import FragmentEnvironment
from molgen.fragments.vocabulary import Vocabulary
from molgen.molecules.graph import AtomTable
from molgen.policy import make_policy
from molgen.probabilities import FEWEST, TRAJECTORIES, molecule_probabilities
from molgen.runs.exact import enumerate_space, policy_distribution

FRAGMENTS = ["[*]c1ccc([*])cc1", "[*]CC[*]", "[*]O[*]"]  # some molecules fall apart in two ways


def flat(smiles):
    return np.zeros(len(smiles))


def atoms():
    return AtomEnvironment(AtomTable.of(["C", "O"]), 3, flat)


def fragments():
    return FragmentEnvironment(Vocabulary.of(FRAGMENTS), flat, max_fragments=3, max_atoms=14)


@pytest.fixture(scope="module", params=[atoms, fragments])
def case(request):
    """A space and a policy that is far from uniform."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    environment = request.param()
    policy = make_policy(environment, hidden=16, rounds=2)
    torch.manual_seed(3)
    for head in policy.heads:
        torch.nn.init.normal_(head.last.weight)
    yield enumerate_space(environment), policy
    torch.set_num_threads(before)


def test_the_estimate_is_the_exact_probability(case):
    space, policy = case
    exact = np.log(policy_distribution(space, policy))
    log_p, error, _ = molecule_probabilities(
        space.environment,
        policy,
        space.terminals,
        space.molecule,
        np.random.default_rng(1),
        trajectories=200,
    )
    assert log_p.shape == error.shape == exact.shape
    probability = np.exp(log_p)
    error_of_sum = float(np.sqrt(np.sum((probability * error) ** 2)))
    assert error_of_sum < 0.1
    assert probability.sum() == pytest.approx(1.0, abs=4.0 * error_of_sum + 1e-6)
    # where all ways have the same weight the error is rounding
    z = (log_p - exact) / np.maximum(error, 1e-5)
    assert np.abs(z).max() < 5.0
    assert np.mean(z**2) < 2.0


def test_repeated_estimates_spread_as_their_errors_say(case):
    space, policy = case
    generator = np.random.default_rng(2)
    rows = np.flatnonzero(space.molecule < 8)
    states, molecule = space.terminals.take(rows), space.molecule[rows]
    # enough of them for the delta method: this policy's weights differ by orders of magnitude
    found = [
        molecule_probabilities(space.environment, policy, states, molecule, generator, 200)[:2]
        for _ in range(30)
    ]
    log_p, error = (np.stack(part) for part in zip(*found, strict=True))
    spread, stated = log_p.std(axis=0, ddof=1), np.sqrt((error**2).mean(axis=0))
    several = stated > 1e-5  # more than one way, of different weights
    assert several.any()
    ratio = spread[several] / stated[several]
    assert 0.6 < ratio.min() and ratio.max() < 1.6


def test_frequencies_of_draws_agree_with_the_estimates(case):
    space, policy = case
    draws = sample_trajectories(space.environment, policy, 5000, np.random.default_rng(4))
    row = {smiles: i for i, smiles in enumerate(space.molecules)}
    drawn = [row[smiles] for smiles in space.environment.smiles(draws.terminals)]
    counts = np.bincount(drawn, minlength=len(row))
    log_p, _, _ = molecule_probabilities(
        space.environment,
        policy,
        space.terminals,
        space.molecule,
        np.random.default_rng(5),
        trajectories=400,
    )
    p = np.exp(log_p)
    assert chi_squared(counts, p / p.sum()).p_value > 0.001


def test_no_molecule_has_no_probability(case):
    space, policy = case
    none = np.zeros(0, np.int64)
    log_p, error, _ = molecule_probabilities(
        space.environment, policy, space.terminals.take(none), none, np.random.default_rng(6)
    )
    assert log_p.shape == error.shape == (0,)


def test_where_there_is_no_time_fewer_trajectories_are_scored(case):
    space, policy = case
    told = []
    given = space.environment, policy, space.terminals, space.molecule
    log_p, error, fewest = molecule_probabilities(
        *given, np.random.default_rng(1), left=lambda: 1e9, tell=told.append, batch=40
    )
    assert fewest == TRAJECTORIES and told[-1] == 1.0 and told == sorted(told)
    seconds = count()
    _, wider, fewest = molecule_probabilities(
        *given,
        np.random.default_rng(1),
        left=lambda: max(1.0 - 0.3 * next(seconds), 0.0),
        batch=40,
    )
    assert fewest == FEWEST and np.isfinite(log_p).all() and np.isfinite(wider).all()
