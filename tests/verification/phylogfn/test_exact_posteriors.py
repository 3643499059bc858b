"""Trained policies against posteriors that can be enumerated.

Subsets of the primates with so few sites that many topologies keep some probability. The policy is
trained as in a run of ``phylogfn sample``: walks, insertion order, attachment rates, trie and own
draws. Its exact distribution is compared with the closed-form posterior, and its draws with both.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from gfncore.evaluation import chi_squared, exact_distribution, total_variation
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.environments.taxon_order import taxon_order
from phylogfn.estimates.collapsed import draw, estimate
from phylogfn.exploration.starting_trees import overdispersed_starts
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.exploration.walks import N_REPLICAS, Walkers
from phylogfn.runs.sample.effort import SampleEffort
from phylogfn.training.curricula import (
    InsertionCurriculum,
    MergingCurriculum,
    make_policy,
    make_trainer,
)
from phylogfn.trees.keys import taxon_codes

pytestmark = pytest.mark.verification

CURRICULA = {"insertion": InsertionCurriculum, "merging": MergingCurriculum}
STEPS = {"insertion": 1500, "merging": 600}
OWN_DRAWS = {"insertion": 6, "merging": 1}  # steps from one with own draws to the next
N_DRAWS = 4000


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(reward, seed, kind):
    """Table and environment of a walk, and the trainer of a policy that was taught from them."""
    n = reward.likelihood.n_taxa
    rng = np.random.default_rng(seed)
    table = TopologyTable(n)
    starts = overdispersed_starts(reward.likelihood.patterns, N_REPLICAS, rng)
    walkers = Walkers.start(reward, table, starts, rng)
    walkers.absorb(walkers.run(10), table, True)

    def log_reward(trees):
        rows = table.look_up(reward, trees)
        return table.log_evidence[rows] + reward.log_topology_prior

    if kind == "insertion":
        relative = np.exp(table.log_evidence - table.log_evidence.max())
        order = taxon_order(table.parents, relative, taxon_codes(n))
        environment = InsertionEnvironment(order, log_reward)
    else:
        model = reward.likelihood.model
        features = ForestFeatures(reward.likelihood.patterns, model.frequencies, keep=0.9)
        features.fit(table.parents, rng)
        environment = MergingEnvironment(features, n, log_reward)
    log_z = float(logsumexp(table.log_evidence)) + reward.log_topology_prior
    trainer = make_trainer(environment, make_policy(environment, seed, "cpu"), log_z, rng, None)
    curriculum = CURRICULA[kind](environment, table)
    for step in range(STEPS[kind]):
        if step % 100 == 0:
            curriculum.refresh(None)  # the table holds nearly all
        if step == 0:
            curriculum.set_rates()
        if kind == "merging":  # as in a run: averages out the noise of the histories
            effort = SampleEffort()
            left = (effort.train_share * STEPS[kind] - step) / STEPS[kind]
            factor = left / (effort.train_share - effort.settle_from)
            trainer.rate_factor = min(1.0, max(effort.last_rate, factor))
        curriculum.teach(trainer, step % OWN_DRAWS[kind] == 0)
    return table, environment, trainer


CASES = [
    ([0, 1, 2, 7, 11], 60, 1),
    ([2, 3, 4, 5, 6], 120, 2),
    ([0, 1, 2, 5, 7, 11], 60, 3),
    ([1, 3, 4, 6, 8, 10], 100, 4),
    ([0, 2, 3, 4, 5, 11], 250, 5),
]


@pytest.mark.parametrize(
    ("taxa", "sites", "seed", "kind"),
    [
        (*CASES[0], "insertion"),
        *[pytest.param(*case, "insertion", marks=pytest.mark.long) for case in CASES[1:]],
        *[pytest.param(*case, "merging", marks=pytest.mark.long) for case in CASES],
    ],
)
def test_policy_is_the_enumerated_posterior(
    primates, make_reward, all_topologies, taxa, sites, seed, kind
):
    reward, every = make_reward(primates(taxa, sites)), all_topologies(len(taxa))
    table, environment, trainer = trained(reward, seed, kind)
    policy = trainer.averaged.policy
    policy.defence = 0.0  # a small share of other choices for importance draws: was not learned
    exact = exact_distribution(environment, policy)
    table.look_up(reward, every)  # now all have a row
    assert len(table) == len(every)
    q = np.zeros(len(every))
    q[table.find(environment.trees(exact.terminals))] = exact.probability
    p = np.exp(table.log_evidence - logsumexp(table.log_evidence))
    print(f"{kind} {len(taxa)} taxa: total variation {total_variation(p, q):.4f}")
    assert total_variation(p, q) < 0.01
    # log Z that trajectory balance learned
    log_z = logsumexp(table.log_evidence) + reward.log_topology_prior
    assert float(trainer.objective.log_z.detach()) == pytest.approx(log_z, abs=0.1)
    # draws are those of the policy, and hardly to be told from the posterior
    drawn = draw(environment, policy, reward, table, N_DRAWS, np.random.default_rng(seed))
    counts = np.bincount(drawn.rows, minlength=len(every))
    assert chi_squared(counts, q).p_value > 1e-3
    against = chi_squared(counts, p)
    print(against)
    if kind == "insertion":
        assert against.p_value > 1e-4
    else:
        # 600 steps on random histories leave a relative variance of .01 to .02 on six taxa (total
        # variation .0043 to .0054), which a test of 4,000 draws sees; the weights may vary by .1
        assert (against.statistic - against.degrees_of_freedom) / N_DRAWS < 0.05
    if kind == "insertion":  # one history each
        np.testing.assert_allclose(np.exp(drawn.log_q), q[drawn.rows], rtol=1e-4)
    else:  # averages over a few histories, whose reciprocals are unbiased
        ratios = q[drawn.rows] / np.exp(drawn.log_q)
        assert np.quantile(np.abs(np.log(ratios)), 0.99) < np.log(1.5)
        error = ratios.std(ddof=1) / np.sqrt(N_DRAWS)
        assert ratios.mean() == pytest.approx(1.0, abs=4 * error + 1e-4)
    # without knowing any topology exactly, the estimate is the enumerated one
    found = estimate(drawn, table, 0, reward.log_topology_prior)
    assert found.log_z == pytest.approx(log_z, abs=4 * found.standard_error + 0.01)
    assert found.ess > 0.9 * N_DRAWS
