"""What the sampler of near-optimal trees is taught: weights of known and of drawn trees, log Z."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from gfncore.objectives.base import make_objective
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.estimates.collapsed import BATCH
from phylogfn.estimates.tempered import (
    TemperedDraws,
    draw_trees,
    estimate_partition,
    in_table,
    resample,
    weigh,
)
from phylogfn.parsimony.table import ParsimonyTable
from phylogfn.runs.parsimony.pilots import LARGEST_WEIGHT, MEMORY, Pilots
from phylogfn.training.curricula import make_policy
from phylogfn.training.tempered_curricula import fit_log_partition


@pytest.fixture
def drawn(all_topologies):
    """Scores of all trees of six taxa, a table of some, and uniform draws with their estimates."""
    every = all_topologies(6)
    rng = np.random.default_rng(1)
    scores = rng.integers(10, 16, len(every)).astype(float)
    table = ParsimonyTable(6)
    table.add(every[:30], scores[:30])
    betas = np.array([0.5, 1.0])
    draws, outside, weighted, found = [], [], [], []
    for beta in betas:
        rows = rng.integers(len(every), size=20_000)
        one = TemperedDraws(beta, every[rows], np.full(len(rows), -np.log(len(every))))
        known = in_table(table, one.parents)
        np.testing.assert_array_equal(known, rows < 30)
        draws.append(one)
        outside.append(~known)
        weighted.append(weigh(one, scores[rows], known, 10.0))
        found.append(estimate_partition(one, scores[rows], known, scores[:30], 10.0))
    return every, scores, table, betas, draws, outside, weighted, found


def test_the_sum_over_all_trees(drawn):
    _, scores, _, betas, *_, found = drawn
    for beta, one in zip(betas, found, strict=True):
        exact = np.logaddexp.reduce(beta * (10.0 - scores))
        assert one.log_z == pytest.approx(exact, abs=4 * one.standard_error)
        share = np.exp(np.logaddexp.reduce(beta * (10.0 - scores[:30])) - exact)
        assert one.known_share == pytest.approx(share, rel=0.05)


def test_weights_of_known_and_drawn_trees_stand_for_all(drawn):
    every, scores, table, betas, draws, outside, weighted, _ = drawn
    pilots = Pilots.none(betas, 6).after(draws, outside, weighted)
    again = Pilots.from_state(pilots.state()).after(draws, outside, weighted)
    for trees in (one.weigh(table, 10.0, largest_weight=1.0) for one in (pilots, again)):
        assert len(trees.parents) == len(every)
        whole = ParsimonyTable(6)
        whole.add(every, scores)
        rows = whole.add(trees.parents, np.zeros(len(trees.parents)))
        for beta, weights in zip(betas, trees.weights, strict=True):
            exact = np.exp(beta * (10.0 - scores[rows]))
            np.testing.assert_allclose(weights[:30], exact[:30])
            np.testing.assert_allclose(weights[30:], exact[30:], rtol=0.4)
            assert weights.sum() == pytest.approx(exact.sum(), rel=0.02)


def test_luck_is_cut_and_old_cycles_are_forgotten(drawn):
    _, _, table, betas, draws, outside, weighted, found = drawn
    pilots = Pilots.none(betas, 6)
    for _ in range(MEMORY + 3):
        pilots = pilots.after(draws, outside, weighted)
    assert pilots.ess.shape == (MEMORY, len(betas))
    assert pilots.cycle.min() == 0 and pilots.cycle.max() == MEMORY - 1
    assert len(pilots.parents) == MEMORY * sum(new.sum() for new in outside)
    trees = pilots.weigh(table, 10.0)
    lucky = trees.weights[:, 30:]
    whole = np.exp([one.log_z for one in found])  # known trees exactly, the others as estimated
    assert (lucky.max(axis=1) <= LARGEST_WEIGHT * whole * (1 + 1e-9)).all()


def test_resampled_counts_are_as_near_as_they_can_be():
    log_known, log_outside = np.log([0.5, 0.25]), np.log([0.2, 0.05])
    places = resample(log_known, log_outside, 100, np.random.default_rng(1))
    counts = np.bincount(places, minlength=4)
    assert np.abs(counts - [50, 25, 20, 5]).max() <= 1


def test_log_partition_is_set_to_estimates():
    objective = make_objective("trajectory_balance", 1.0, conditional=True)
    betas, log_z = np.array([0.5, 1.0, 2.0]), np.array([6.0, 3.0, 1.0])
    fit_log_partition(objective, betas, log_z)
    learned = objective.log_z_at(torch.log(torch.from_numpy(betas))).detach().numpy()
    np.testing.assert_allclose(learned, log_z, atol=0.01)


def test_draws_that_time_ends_are_the_first_at_each_temperature():
    order = np.arange(6, dtype=np.int32)
    environment = InsertionEnvironment(order, lambda trees: np.zeros(len(trees)))
    policy = make_policy(environment, 1, "cpu", conditioning="both")
    betas = np.array([0.5, 1.0, 2.0])
    with ThreadPoolExecutor(2) as pool:

        def draws(until=None):
            rng = np.random.default_rng(3)
            return draw_trees(environment, policy, betas, 1200, rng, pool, until)

        whole, part = draws(), draws(lambda: True)
    for one, other in zip(whole, part, strict=True):
        assert len(one.log_q) == 1200 and len(other.log_q) == BATCH
        assert np.array_equal(one.parents[:BATCH], other.parents)
        assert np.array_equal(one.log_q[:BATCH], other.log_q)
