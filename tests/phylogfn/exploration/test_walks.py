"""The two searches: their ladders and scouts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from phylogfn.alignments.alignment import read_alignment
from phylogfn.exploration.agreement import compare_searches
from phylogfn.exploration.starting_trees import overdispersed_starts
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.exploration.walks import (
    BLOCK,
    CLOSE,
    EVALUATIONS_A_STEP,
    N_REPLICAS,
    N_SEARCHES,
    NEAR,
    PATIENCE,
    PATIENCE_CLOSE,
    RUNGS,
    SCOUTS,
    Walkers,
)
from phylogfn.trees.tree import Tree, random_topology, relabel, robinson_foulds


@pytest.fixture
def start(primates, make_reward):
    """Return a function that puts walkers on random topologies."""

    def make(taxa=8, sites=300, threads=1, seed=1):
        reward = make_reward(primates(taxa, sites), threads=threads)
        n = reward.likelihood.n_taxa
        rng = np.random.default_rng(seed)
        starts = np.stack([random_topology(n, rng).parent for _ in range(N_REPLICAS)]).astype(
            np.int16
        )
        table = TopologyTable(n)
        return Walkers.start(reward, table, starts, rng), table

    return make


def arrays(walkers, table):
    return walkers.state() | table.state()


def test_ladder():
    assert RUNGS[0] == 1.0 and list(RUNGS) == sorted(RUNGS)
    assert N_REPLICAS == N_SEARCHES * (len(RUNGS) + SCOUTS)


def test_threads_do_not_change_the_walk(start):
    first, second, third = start(), start(threads=2), start()
    first[0].absorb(first[0].run(4), first[1], True)
    second[0].absorb(second[0].run(4), second[1], True)
    third[0].absorb(third[0].run(4, parallel=False), third[1], True)
    for name, value in arrays(*first).items():
        assert np.array_equal(value, arrays(*second)[name]), name
        assert np.array_equal(value, arrays(*third)[name]), name
    assert first[0].reward.evaluations == second[0].reward.evaluations


def test_visits_are_counted_at_temperature_one(start):
    walkers, table = start()
    walkers.absorb(walkers.run(2), table, False)
    assert table.visits.sum() == 0
    walkers.absorb(walkers.run(3), table, True)
    assert table.visits.sum() == 3 * BLOCK * N_SEARCHES * RUNGS.count(1.0)
    assert walkers.steps >= 5 * BLOCK * N_REPLICAS and walkers.rounds == 5


def test_a_walk_ends_when_it_is_told_to(start):
    walkers, table = start()
    answers = iter([False, True])
    blocks = walkers.run(5, until=lambda: next(answers))
    assert walkers.rounds == 2
    assert sum(len(block.visited) == BLOCK for block in blocks) == 2 * N_REPLICAS
    walkers.run(5, until=lambda: True)
    assert walkers.rounds == 3  # one at least


def test_rows_and_evidence_are_those_of_the_trees(start):
    walkers, table = start()
    for _ in range(3):
        walkers.absorb(walkers.run(2), table, True)
        for replica in walkers.replicas:
            assert table.find(replica.parent[None])[0] == replica.row
            assert table.log_evidence[replica.row] == pytest.approx(replica.log_evidence, abs=0.1)
    again = walkers.reward.closed_form(table.parents, table.lengths)
    np.testing.assert_allclose(table.log_evidence, again.log_evidence, atol=0.1)


def test_a_restored_ladder_goes_on_as_it_would_have(start):
    walkers, table = start()
    walkers.absorb(walkers.run(2), table, True)
    saved = {name: value.copy() for name, value in walkers.state().items()}
    other = Walkers(walkers.reward, Walkers.replicas_of_state(saved), np.random.default_rng())
    other.rng.bit_generator.state = walkers.rng.bit_generator.state
    copy = TopologyTable.from_state(8, {k: v.copy() for k, v in table.state().items()})
    walkers.absorb(walkers.run(3), table, True)
    other.absorb(other.run(3), copy, True)
    for name, value in arrays(walkers, table).items():
        assert np.array_equal(value, arrays(other, copy)[name]), name


def test_visits_with_exchanges_are_the_posterior(start, all_topologies):
    walkers, table = start([0, 1, 2, 7, 11], 60)
    every = all_topologies(5)
    walkers.absorb(walkers.run(120), table, True)
    log_target = walkers.reward.closed_form(every).log_evidence
    target = np.exp(log_target - logsumexp(log_target))
    rows = table.find(every)
    assert (rows >= 0).all()  # the warm rungs have been everywhere
    shares = table.visits[rows] / table.visits.sum()
    assert 0.5 * np.abs(shares - target).sum() < 0.04


def test_random_starts_come_together(start):
    walkers, table = start(12, None)
    walkers.absorb(walkers.run(12), table, False)
    width = len(RUNGS) + SCOUTS
    cold = [r.log_evidence for i, r in enumerate(walkers.replicas) if i % width < RUNGS.count(1.0)]
    best = table.log_evidence.max()
    assert min(cold) > best - 15.0


def test_searches_share_nothing(start):
    walkers, table = start(8, 300)
    places = {id(replica): i // (len(RUNGS) + SCOUTS) for i, replica in enumerate(walkers.replicas)}
    keep = list(walkers.replicas)  # so that no identity is used again
    for _ in range(20):
        for block in walkers.run(1):
            search = block.place // (len(RUNGS) + SCOUTS)
            assert places.setdefault(id(block.replica), search) == search
            keep.append(block.replica)
            before = table.searches.copy()
            walkers.absorb([block], table, False)
            others = table.searches[: len(before)] != before
            assert (table.searches[: len(before)][others] == before[others] | 1 << search).all()
    assert set(np.unique(table.searches)) == {1, 2, 3}


@pytest.mark.parametrize(
    ("below", "patience"),
    [
        (0.0, PATIENCE),
        (NEAR - 0.1, PATIENCE),
        (NEAR + 0.1, PATIENCE_CLOSE),
        (CLOSE + 0.1, PATIENCE),
    ],
)
def test_scouts_that_stop_a_little_below_the_ladder_go_on_for_longer(start, below, patience):
    walkers, _ = start()
    for search in range(N_SEARCHES):
        first = search * (len(RUNGS) + SCOUTS)
        scout = walkers.replicas[first + len(RUNGS)]
        ladder = max(replica.log_evidence for replica in walkers.replicas[first : first + 2])
        scout.highest = ladder - below
        assert walkers._patience(scout, first) == patience


def test_scouts_begin_anew_once_they_no_longer_rise(start):
    walkers, table = start(8, 300)
    n_starts = [0] * N_REPLICAS
    for _ in range(40):
        blocks = walkers.run(1)
        for block in blocks:
            if len(block.visited) == 1:
                n_starts[block.place] += 1
                assert block.replica is walkers.replicas[block.place]
                assert block.replica.idle == 0 and block.replica.highest == -np.inf
        walkers.absorb(blocks, table, True)
        assert all(r.idle < PATIENCE * 8 for r in walkers.replicas[-SCOUTS:])
    assert len(walkers.ends) == sum(n_starts)
    assert 1 < walkers.hits(table.log_evidence.max()) <= len(walkers.ends)
    assert walkers.hits(table.log_evidence.max() + NEAR) == 0
    width = len(RUNGS) + SCOUTS
    for place, times in enumerate(n_starts):
        assert (times > 2) == (place % width >= len(RUNGS))
    for replica in walkers.replicas:
        assert table.find(replica.parent[None])[0] == replica.row


@pytest.mark.parametrize(("n_taxa", "seed"), [(12, 1), (16, 1)])
def test_both_islands_of_equal_posterior_are_found(
    two_islands, make_reward, tmp_path, n_taxa, seed
):
    text, exchange = two_islands(n_taxa, seed)
    (tmp_path / "islands.fasta").write_text(text)
    reward, rng = make_reward(read_alignment(tmp_path / "islands.fasta")), np.random.default_rng(3)
    table = TopologyTable(n_taxa)
    starts = overdispersed_starts(reward.likelihood.patterns, N_REPLICAS, rng)
    walkers = Walkers.start(reward, table, starts, rng)
    for _ in range(20):
        walkers.absorb(walkers.run(4), table, True)
        agreement = compare_searches(table, np.random.default_rng(1))
        if walkers.rounds > 20 and agreement.agree:
            break
    assert agreement.agree
    # what was found is as good as closed under the exchange, and lies on two islands
    mass = np.exp(table.log_evidence - logsumexp(table.log_evidence))
    trees = [Tree.from_parents(parent) for parent in table.parents]
    images = np.stack([relabel(tree, exchange).parent for tree in trees]).astype(np.int16)
    rows = table.find(images)
    assert mass[rows >= 0].sum() > 0.98
    good = (rows >= 0) & (mass > 1e-6)
    np.testing.assert_allclose(table.log_evidence[rows[good]], table.log_evidence[good], atol=0.1)
    best = trees[int(np.argmax(mass))]
    image = relabel(best, exchange)
    nearer = np.array([robinson_foulds(t, best) - robinson_foulds(t, image) for t in trees])
    assert robinson_foulds(best, image) > n_taxa
    assert mass[nearer < 0].sum() == pytest.approx(0.5, abs=0.03)
    assert mass[nearer > 0].sum() == pytest.approx(0.5, abs=0.03)


def test_blocks_are_as_short_as_the_time_for_a_round(start):
    walkers, table = start()
    assert not walkers.keep_pace(1e6, 1e-3, 1) and walkers.block == BLOCK
    assert walkers.keep_pace(1e-9, 1e-3, 1) and walkers.block == 1
    longer = EVALUATIONS_A_STEP * N_REPLICAS * 1e-3 * 3.5
    assert walkers.keep_pace(longer, 1e-3, 1) and walkers.block == 3
    before = walkers.steps
    walkers.absorb(walkers.run(1, until=lambda: True), table, True)
    assert walkers.steps == before + 3 * N_REPLICAS


def test_ladders_rest_while_scouts_alone_walk(start):
    walkers, table = start(8, 300)
    before = [replica.parent.copy() for replica in walkers.replicas]
    width = len(RUNGS) + SCOUTS
    blocks = walkers.run(1, scouts_only=True)
    walkers.absorb(blocks, table, True)
    assert {block.place % width for block in blocks} == set(range(len(RUNGS), width))
    for place, (replica, old) in enumerate(zip(walkers.replicas, before, strict=True)):
        if place % width < len(RUNGS):
            assert np.array_equal(replica.parent, old)
    assert table.visits.sum() == 0
