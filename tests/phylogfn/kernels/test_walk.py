"""The regrafting walk: trees stay whole, and the walk stands where the posterior is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp

from phylogfn.alignments.alphabet import PROTEIN
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.kernels.topology_numba import children_batch, topology_keys
from phylogfn.kernels.walk_numba import reroot, walk
from phylogfn.trees.constraints.splits import Constraints
from phylogfn.trees.keys import taxon_codes
from phylogfn.trees.tree import random_topology
from phylogfn.trees.tree import splits as splits_of


def split_lengths(children, lengths, top):
    """Length of each branch by the taxa on its side without taxon 0."""
    n = len(children) // 2 + 1
    found = {}

    def below(v):
        taxa = {v} if v < n else below(children[v, 0]) | below(children[v, 1])
        found[frozenset(set(range(n)) - taxa if 0 in taxa else taxa)] = float(lengths[v])
        return taxa

    below(top)
    return found


def test_reroot_keeps_splits_and_lengths():
    rng = np.random.default_rng(1)
    n = 9
    tree = random_topology(n, rng)
    parent, children = tree.parent.copy(), tree.children.copy()
    lengths = rng.exponential(0.1, 2 * n - 2)
    lengths[0] = 0.0
    expected = split_lengths(children, lengths, children[0, 0])
    assert len(expected) == 2 * n - 3
    root = 0
    for leaf in [4, 4, 8, 1, 7, 0]:
        reroot(parent, children, lengths, root, leaf)
        root = leaf
        assert parent[root] == -1 and lengths[root] == 0.0
        assert children[root, 1] == -1 and (children[:n][np.arange(n) != root] == -1).all()
        for v in range(2 * n - 2):
            assert all(parent[child] == v for child in children[v] if child >= 0)
        assert split_lengths(children, lengths, children[root, 0]) == expected
    assert np.array_equal(parent, tree.parent)


def run_walk(reward, start, n_steps, temperature=1.0, seed=1, sides=None):
    """Walk from a topology; dict of what the kernel filled."""
    like = reward.likelihood
    fit = reward.closed_form(start[None])
    width = len(start)
    out = {
        "parent": start.astype(np.int32),
        "children": children_batch(start[None])[0],
        "lengths": fit.lengths[0].copy(),
        "shapes": fit.shapes[0].copy(),
        "kept": np.zeros((n_steps, width), np.int16),
        "kept_lengths": np.zeros((n_steps, width), np.float32),
        "kept_evidence": np.zeros(n_steps),
        "visited": np.zeros(n_steps, np.int32),
    }
    space = like.workspace(keep=True)
    n_kept, log_evidence, evaluations = walk(
        like.model_arrays,
        like.data_arrays,
        reward.branch_prior.functions,
        out["parent"],
        out["children"],
        out["lengths"],
        out["shapes"],
        float(fit.log_evidence[0]),
        temperature,
        n_steps,
        seed,
        like.rescale,
        space,
        np.zeros((0, like.n_taxa), np.int8) if sides is None else sides,
        out["kept"],
        out["kept_lengths"],
        out["kept_evidence"],
        out["visited"],
    )
    for name in ("kept", "kept_lengths", "kept_evidence"):
        out[name] = out[name][:n_kept]
    return out | {"log_evidence": log_evidence, "evaluations": evaluations, "start": start}


def visit_shares(found, every):
    """Share of the steps on each topology of ``every``."""
    table = TopologyTable(every.shape[1] // 2 + 1)
    table.add(every, np.zeros(every.shape), np.zeros(len(every)))
    rows = table.find(np.concatenate([found["kept"], found["start"][None]]))
    return np.bincount(rows[found["visited"]], minlength=len(every)) / len(found["visited"])


# 60 sites of these taxa leave most topologies some of the posterior
DIFFUSE = ([0, 1, 2, 7, 11], 60)


@pytest.mark.parametrize(
    ("model", "rescale", "temperature"),
    [
        ("JC69", False, 1.0),
        ("JC69", False, 2.0),
        ("JC69", True, 1.0),
        ("GTR+G4+I", False, 1.0),
        ("GTR+G4+I", True, 2.0),
    ],
)
def test_visits_are_the_tempered_posterior(
    primates, make_reward, all_topologies, model, rescale, temperature
):
    reward = make_reward(primates(*DIFFUSE), model, rescale=rescale)
    every = all_topologies(5)
    log_target = reward.closed_form(every).log_evidence / temperature
    target = np.exp(log_target - logsumexp(log_target))
    assert 1.5 < np.exp(-(target * np.log(target)).sum()) < 14.0
    found = run_walk(reward, every[8], 20_000 if model == "JC69" else 8_000, temperature)
    shares = visit_shares(found, every)
    assert 0.5 * np.abs(shares - target).sum() < 0.05
    assert found["evaluations"] > len(found["kept"])


@pytest.mark.parametrize(
    ("model", "rescale"),
    [("JC69", False), ("JC69", True), ("GTR+G4+I", False), ("LG", False), ("LG4M", True)],
)
def test_kept_trees_have_the_evidence_that_is_recorded(primates, make_reward, model, rescale):
    alignment = primates(8, 300)
    if model.startswith("LG"):  # any sets of states will do
        alignment = replace(alignment, alphabet=PROTEIN)
    reward = make_reward(alignment, model, rescale=rescale)
    start = random_topology(8, np.random.default_rng(2)).parent.astype(np.int16)
    found = run_walk(reward, start, 60 if model.startswith("LG") else 300)
    assert len(found["kept"]) > 10
    again = reward.closed_form(found["kept"])
    np.testing.assert_allclose(found["kept_evidence"], again.log_evidence, atol=0.06)
    # its lengths are those of the mode
    near = reward.closed_form(found["kept"], found["kept_lengths"])
    np.testing.assert_allclose(found["kept_evidence"], near.log_evidence, atol=0.06)
    # the walk ends on the tree that it visited last
    last = found["kept"][found["visited"][-1]]
    codes = taxon_codes(8)
    keys = topology_keys(np.stack([last, found["parent"].astype(np.int16)]), codes)
    assert np.array_equal(keys[0], keys[1])
    assert found["log_evidence"] == found["kept_evidence"][found["visited"][-1]]
    assert found["parent"][0] == -1 and found["lengths"][0] == 0.0
    assert np.array_equal(children_batch(found["parent"][None])[0] >= 0, found["children"] >= 0)
    # it climbed
    assert found["kept_evidence"][found["visited"][-1]] > again.log_evidence[0]


@pytest.mark.parametrize(
    ("splits", "taxa"), [([0b00110], 0b11111), ([0b00011, 0b11000], 0b11111), ([0b1100], 0b1111)]
)
def test_visits_under_a_constraint(primates, make_reward, all_topologies, splits, taxa):
    reward = make_reward(primates(*DIFFUSE))
    constraints = Constraints.from_splits(5, splits, taxa)
    every = all_topologies(5)
    held = constraints.hold(every)
    log_target = np.where(held, reward.closed_form(every).log_evidence, -np.inf)
    target = np.exp(log_target - logsumexp(log_target))
    start = every[np.flatnonzero(held)[0]]
    found = run_walk(reward, start, 15_000, sides=constraints.sides)
    assert constraints.hold(found["kept"]).all()
    shares = visit_shares(found, every)
    assert (shares[~held] == 0.0).all()
    assert 0.5 * np.abs(shares - target).sum() < 0.05


def test_a_walk_keeps_many_splits(primates, make_reward):
    reward = make_reward(primates(12, 300))
    rng = np.random.default_rng(5)
    chosen = sorted(splits_of(random_topology(12, rng)))[::2]
    constraints = Constraints.from_splits(12, chosen)
    found = run_walk(reward, constraints.random_topology(rng), 300, sides=constraints.sides)
    assert len(found["kept"]) >= 5 and constraints.hold(found["kept"]).all()
    final = found["parent"][None].astype(np.int16)
    assert constraints.hold(final).all()
    whole = Constraints.from_splits(12, sorted(splits_of(random_topology(12, rng))))
    found = run_walk(reward, whole.random_topology(rng), 50, sides=whole.sides)
    assert len(found["kept"]) == 0


def test_a_seed_repeats_the_walk(primates, make_reward):
    reward = make_reward(primates(8, 300))
    start = random_topology(8, np.random.default_rng(3)).parent.astype(np.int16)
    first, second, third = (run_walk(reward, start, 100, seed=seed) for seed in (5, 5, 6))
    for name, value in first.items():
        assert np.array_equal(value, second[name]), name
    assert not np.array_equal(first["visited"], third["visited"])


def test_four_taxa_are_enough(primates, make_reward, all_topologies):
    reward = make_reward(primates([0, 1, 2, 7], 40))
    every = all_topologies(4)
    found = run_walk(reward, every[0], 6000)
    log_target = reward.closed_form(every).log_evidence
    target = np.exp(log_target - logsumexp(log_target))
    assert 0.5 * np.abs(visit_shares(found, every) - target).sum() < 0.05
