"""Trees built by random steps: what is drawn, and runs that learn from them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from gfncore.evaluation.object_probability import log_object_probabilities
from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.patterns import compress
from phylogfn.environments.forest_features import ForestFeatures
from phylogfn.environments.insertion import InsertionEnvironment
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.estimates.collapsed import draw
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.likelihood.branch_prior import ExponentialPrior
from phylogfn.likelihood.collapsed import CollapsedReward
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.runs.sample.effort import Aims, SampleEffort
from phylogfn.runs.sample.main import run_sample
from phylogfn.settings import SampleSettings
from phylogfn.training import random_trees
from phylogfn.training.curricula import make_policy
from phylogfn.training.random_trees import RandomTrees

SMALL = SampleEffort(
    collapsed=Aims(20, 100, 20_000, standard_error=9.0, effective_share=0.0, missed=9.0),
    walk_most=10,
    cycle_rounds=1,
    fewest_cycles=2,
    ranked=0.8,
    random_batch=48,
    random_from_step=10,
)


@pytest.fixture
def alignment(tmp_path):
    """Seven sequences that lie along a tree."""
    rng = np.random.default_rng(1)
    rows = [rng.integers(4, size=120)]
    for i in range(6):
        row = rows[i // 2].copy()
        changed = rng.random(120) < 0.12
        row[changed] = rng.integers(4, size=changed.sum())
        rows.append(row)
    lines = [f">t{i}\n{''.join(np.array(list('ACGT'))[row])}\n" for i, row in enumerate(rows)]
    (tmp_path / "seven.fasta").write_text("".join(lines))
    return tmp_path / "seven.fasta"


@pytest.fixture(params=["insertion", "merging"])
def problem(alignment, request):
    patterns = compress(read_alignment(str(alignment)))
    model = parse_model("JC69", "dna").build(np.zeros(0))
    reward = CollapsedReward(TreeLikelihood(patterns, model), ExponentialPrior(10.0), 1)

    def log_reward(trees):
        return reward.closed_form(trees).log_evidence + reward.log_topology_prior

    if request.param == "insertion":
        environment = InsertionEnvironment(np.arange(7), log_reward)
    else:
        features = ForestFeatures(patterns, np.full(4, 0.25), 0.8)
        environment = MergingEnvironment(features, 7, log_reward)
    yield environment, reward, make_policy(environment, 1, "cpu")
    reward.pool.shutdown()


def at_step(policy, step):
    """What random trees read of a trainer."""
    return SimpleNamespace(policy=policy, averaged=SimpleNamespace(policy=policy), step_number=step)


def test_trees_follow_from_seed_and_step_and_have_their_own_rewards(problem):
    environment, reward, policy = problem
    one, same, later = (RandomTrees(environment, reward, 5) for _ in range(3))
    table = TopologyTable(7)
    one.refresh(at_step(policy, 60), table, 0.0)
    same.refresh(at_step(policy, 60), table, 0.0)
    later.refresh(at_step(policy, 120), table, 0.0)
    first, second, third = (trees.draw(np.random.default_rng(2)) for trees in (one, same, later))
    keys = [environment.keys(found.terminals) for found in (first, second, third)]
    np.testing.assert_array_equal(keys[0], keys[1])
    assert (keys[0] != keys[2]).any()
    assert one.correlation == same.correlation != later.correlation
    np.testing.assert_allclose(
        first.log_reward, environment.log_reward(first.terminals), rtol=1e-12
    )
    assert first.scale is not None and (first.scale == random_trees.SCALE).all()
    assert len(np.unique(keys[0], axis=0)) > random_trees.A_STEP / 2


def test_overrated_trees_are_those_drawn_too_often(problem):
    """Log Z is put where half of the topologies drawn have more than they should."""
    environment, reward, policy = problem
    table = TopologyTable(7)
    rng = np.random.default_rng(3)
    drawn = draw(environment, policy, reward, table, 200, rng)
    terminals = environment.terminals(table.parents)
    log_q = log_object_probabilities(environment, policy, terminals, 500, rng)
    excess = log_q - table.log_evidence
    log_z = random_trees.TOO_MUCH - np.median(excess[np.isfinite(table.log_q)])
    trees = RandomTrees(environment, reward, 5)
    trees.refresh(at_step(policy, 60), table, log_z)
    found = trees.draw(np.random.default_rng(0))
    assert found.scale is not None
    over = np.flatnonzero(found.scale == 1.0)
    assert 0 < len(over) <= random_trees.OVERRATED_A_STEP
    rows = table.find(environment.trees(found.terminals.take(over)))
    slack = 0.0 if environment.is_tree else 1.0  # of 8 histories and of 500
    assert (excess[rows] + log_z > random_trees.TOO_MUCH - slack).all()
    assert set(rows) <= set(drawn.rows)
    prior = reward.log_topology_prior
    np.testing.assert_allclose(found.log_reward[over], table.log_evidence[rows] + prior)
    trees.refresh(at_step(policy, 60), table, -1e6)
    assert (trees.draw(np.random.default_rng(0)).scale == random_trees.SCALE).all()


def test_correlation_is_that_of_the_judged_batch(problem):
    """An untrained policy ranks nothing; one that is bent towards the rewards does."""
    environment, reward, policy = problem
    trees = RandomTrees(environment, reward, 5)
    trees.refresh(at_step(policy, 0), TopologyTable(7), 0.0)
    assert abs(trees.correlation) < 0.6
    terminals = environment.terminals(trees._parents[: random_trees.BATCH])
    rng = np.random.default_rng(0)
    log_q = log_object_probabilities(environment, policy, terminals, 64, rng)
    exact = np.corrcoef(log_q, environment.log_reward(terminals))[0, 1]
    assert trees.correlation == pytest.approx(exact, abs=0.35)  # of 8 histories and of 64


@pytest.mark.parametrize("environment", ["insertion", "merging"])
def test_a_run_says_how_well_it_ranks_them(alignment, tmp_path, environment):
    from gfncore.program.progress import Progress

    output = tmp_path / "out"
    settings = SampleSettings(
        alignment=str(alignment),
        output=output,
        model="JC69",
        branch_prior="exp:10",
        environment=environment,
        random_trees=True,
        samples=20,
        runs=1,
        threads=1,
        quiet=True,
    )
    with Progress("phylogfn", quiet=True) as progress:
        run_sample(settings, progress, SMALL)
    extra = json.loads((output / "summary.json").read_text())["extra"]
    assert 0.7 < extra["random_trees_correlation"] < 1.0
    assert "random_trees = true" in (output / "run.toml").read_text()


def test_they_have_no_lengths(alignment, tmp_path, capsys):
    from phylogfn.cli.main import main

    lengths = ["--environment", "merging", "--branch-lengths", "lognormal"]
    given = [str(alignment), "-o", str(tmp_path / "out"), "--random-trees", *lengths]
    assert main(["sample", *given]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "error" in x.lower()]
    assert "--random-trees: needs --branch-lengths collapsed" in line
