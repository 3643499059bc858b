"""Costs of joins: against Biopython's neighbour joining and plain sums, and what uses them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from phylogfn.alignment import SitePatterns
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.forest_features import ForestFeatures
from phylogfn.join_costs import FREE, NATS_A_SITE, JoinCosts
from phylogfn.join_rates import JoinRates
from phylogfn.kernels import merging_numba
from phylogfn.kernels.join_costs_numba import join_excess
from phylogfn.tree import random_topology


def neighbour_joining_excess(distance):
    """Distance of each pair of tips less their branches in the tree of Biopython."""
    from Bio.Phylo.TreeConstruction import DistanceMatrix, DistanceTreeConstructor

    k = len(distance)
    names = [f"t{i}" for i in range(k)]
    lower = [[float(distance[i, j]) for j in range(i + 1)] for i in range(k)]
    tree = DistanceTreeConstructor().nj(DistanceMatrix(names, lower))
    assert tree.root.name not in names
    length = {tip.name: tip.branch_length for tip in tree.get_terminals()}
    return np.array(
        [
            max(0.0, distance[i, j] - length[names[i]] - length[names[j]])
            for i, j in itertools.combinations(range(k), 2)
        ]
    )


def excess_of(places, counts):
    """`join_excess` of forests whose trees are the rows of `places` in turn."""
    pairs = [
        (start + i, start + j)
        for start, k in zip(np.cumsum(counts) - counts, counts, strict=True)
        for i, j in itertools.combinations(range(k), 2)
    ]
    pairs = np.array(pairs, np.int64).T.copy()
    out = np.full(pairs.shape[1], np.nan, np.float32)
    join_excess(places.astype(np.float32), np.array(counts), pairs, out)
    return out


@pytest.mark.parametrize("k", [4, 5, 9])
def test_excess_is_that_of_the_neighbour_joining_tree(k):
    rng = np.random.default_rng(k)
    sites = 200
    partials = rng.dirichlet(np.full(4, 0.2), (k, sites)).reshape(k, -1)
    distance = sites - partials @ partials.T  # sites at which two roots are expected to differ
    np.fill_diagonal(distance, 0.0)
    found = excess_of(partials, np.array([k]))
    np.testing.assert_allclose(found, neighbour_joining_excess(distance), atol=1e-3)
    assert found.min() == pytest.approx(0.0, abs=1e-3) and found.max() > 1.0


def test_few_trees_cost_nothing_and_forests_do_not_mix():
    places = np.random.default_rng(1).normal(size=(14, 30))
    found = excess_of(places, np.array([2, 6, 3, 3]))
    assert (found[:1] == 0.0).all() and (found[16:] == 0.0).all() and found[1:16].max() > 0.0
    np.testing.assert_array_equal(found[1:16], excess_of(places[2:8], np.array([6])))


def clades(n_taxa):
    """A random tree, and patterns without noise: twenty sites that change at each branch."""
    rng = np.random.default_rng(0)
    tree = random_topology(n_taxa, rng).parent.astype(np.int16)
    masks = []
    for node in range(1, 2 * n_taxa - 2):
        below = np.zeros(n_taxa, bool)
        for taxon in range(n_taxa):
            v = taxon
            while v >= 0 and v != node:
                v = tree[v]
            below[taxon] = v == node
        masks.append(np.where(below, 1, 2))
    masks = np.repeat(np.array(masks).T, 20, axis=1).astype(np.uint32)
    weights = np.ones(masks.shape[1])
    patterns = SitePatterns(masks, weights, np.arange(masks.shape[1], dtype=np.int32), 4)
    return tree, patterns


def test_only_joins_against_the_tree_cost_and_only_if_they_never_met():
    n = 8
    tree, patterns = clades(n)
    features = ForestFeatures(patterns, np.full(4, 0.25), keep=0.99)
    features.fit(tree[None].repeat(20, axis=0), np.random.default_rng(1))
    environment = MergingEnvironment(features, n, lambda trees: np.zeros(len(trees)))
    environment.rates = JoinRates.of(tree[None], np.ones(1))
    states = environment.initial(2)
    plain = environment.graph(states).action_bias.numpy()
    environment.costs = JoinCosts(features)
    taken = plain - environment.graph(states).action_bias.numpy()
    first, second = np.array(list(itertools.combinations(range(n), 2)) * 2).T
    siblings = tree[first] == tree[second]
    siblings |= (first == 0) & (tree[second] == np.flatnonzero(tree == 0))  # it hangs at taxon 0
    assert siblings.any() and (taken[siblings] == 0.0).all()
    assert (taken >= 0.0).all()
    # a path of one internal branch or more: 20 sites each
    assert (taken[~siblings] > NATS_A_SITE * (20 - FREE) * 0.9).all()
    np.testing.assert_array_equal(taken[: len(taken) // 2], taken[len(taken) // 2 :])


def test_scales_bring_projected_partials_back():
    n = 8
    tree, patterns = clades(n)
    features = ForestFeatures(patterns, np.full(4, 0.25), keep=0.9)
    features.fit(tree[None].repeat(20, axis=0), np.random.default_rng(1))
    states = MergingEnvironment(features, n, lambda trees: np.zeros(len(trees))).initial(1)
    state, _, root = merging_numba.slots_and_roots(states.parents, states.counts)
    rows = features.rows(states.parents, state, root) / features.component_scales
    apart = np.square(rows[:, None] - rows[None]).sum(axis=2) / 2
    differ = (patterns.masks[:, None] != patterns.masks[None]).sum(axis=2)  # tips are among them
    np.testing.assert_allclose(apart, differ, atol=0.01 * differ.max())


def test_a_run_with_costs_and_its_sampler_opened_again(tmp_path, monkeypatch):
    from gfncore.progress import Progress
    from phylogfn import sampling
    from phylogfn.settings import SampleSettings

    counts = {"WALK_MOST": 10, "CYCLE_STEPS": 5, "CYCLE_BLOCKS": 1, "FEWEST_CYCLES": 1}
    draws = {"PILOT": 100, "FEWEST_DRAWS": 100, "MOST_DRAWS": 100, "PATHS": 4}
    enough = {"ACCURATE": 9.0, "ACCURATE_SHARE": 0.0, "MISSED": 9.0}
    for name, value in (counts | draws | enough).items():
        monkeypatch.setattr(sampling, name, value)
    rng = np.random.default_rng(1)
    lines = [f">t{i}\n{''.join(rng.choice(list('ACGT'), 40))}\n" for i in range(5)]
    (tmp_path / "five.fasta").write_text("".join(lines))
    settings = SampleSettings(
        alignment=str(tmp_path / "five.fasta"),
        output=tmp_path / "out",
        environment="merging",
        join_costs=True,
        samples=20,
        threads=1,
        quiet=True,
    )
    with Progress("phylogfn", quiet=True) as progress:
        sampling.run_sample(settings, progress)
        assert "join_costs = true" in (tmp_path / "out" / "run.toml").read_text()
        reward, environment, _ = sampling.open_run(tmp_path / "out", progress)
    reward.pool.shutdown()
    assert isinstance(environment, MergingEnvironment)
    assert isinstance(environment.costs, JoinCosts)


@pytest.mark.parametrize(
    "options", [[], ["--environment", "merging", "--branch-lengths", "lognormal"]]
)
def test_costs_need_topologies_by_merging(tmp_path, capsys, options):
    from phylogfn.cli.main import main

    (tmp_path / "a.fasta").write_text(">a\nACGT\n>b\nACGA\n>c\nACGG\n>d\nACGA\n")
    given = [str(tmp_path / "a.fasta"), "-o", str(tmp_path / "out"), "--join-costs", *options]
    assert main(["sample", *given]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "error" in x.lower()]
    assert "--join-costs: only with --environment merging" in line
