"""Trees with random joins: what is drawn, and runs that learn from them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gfncore.evaluation.object_probability import log_object_probabilities
from phylogfn import learning, random_trees, sampling
from phylogfn.alignment import compress, read_alignment
from phylogfn.environments.merging import MergingEnvironment
from phylogfn.evidence import CollapsedReward
from phylogfn.forest_features import ForestFeatures
from phylogfn.learning import make_policy
from phylogfn.likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.random_trees import RandomTrees
from phylogfn.settings import SampleSettings

SMALL = {"WALK_MOST": 10, "CYCLE_STEPS": 20, "CYCLE_BLOCKS": 1, "FEWEST_CYCLES": 2, "PILOT": 100}
ENOUGH = {"ACCURATE": 9.0, "ACCURATE_SHARE": 0.0, "MISSED": 9.0}


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


@pytest.fixture
def problem(alignment):
    patterns = compress(read_alignment(str(alignment)))
    model = parse_model("JC69", "dna").build(np.zeros(0))
    reward = CollapsedReward(TreeLikelihood(patterns, model), 10.0, 1)

    def log_reward(trees):
        return reward.closed_form(trees).log_evidence + reward.log_topology_prior

    features = ForestFeatures(patterns, np.full(4, 0.25), 0.8)
    environment = MergingEnvironment(features, 7, log_reward)
    yield environment, reward, make_policy(environment, 1, "cpu")
    reward.pool.shutdown()


def test_trees_follow_from_seed_and_step_and_have_their_own_rewards(problem):
    environment, reward, policy = problem
    one, same, later = (RandomTrees(environment, reward, 5) for _ in range(3))
    one.refresh(policy, 60)
    same.refresh(policy, 60)
    later.refresh(policy, 120)
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


def test_correlation_is_that_of_the_judged_batch(problem):
    """An untrained policy ranks nothing; one that is bent towards the rewards does."""
    environment, reward, policy = problem
    trees = RandomTrees(environment, reward, 5)
    trees.refresh(policy, 0)
    assert abs(trees.correlation) < 0.6
    judged = random_trees.SHARES.index(random_trees.JUDGED) * random_trees.BATCH
    part = slice(judged, judged + random_trees.BATCH)
    terminals = environment.terminals(trees._parents[part])
    rng = np.random.default_rng(0)
    log_q = log_object_probabilities(environment, policy, terminals, 64, rng)
    exact = np.corrcoef(log_q, environment.log_reward(terminals))[0, 1]
    assert trees.correlation == pytest.approx(exact, abs=0.35)  # of 8 histories and of 64


def test_a_run_says_how_well_it_ranks_them(alignment, tmp_path, monkeypatch):
    from gfncore.progress import Progress

    for name, value in (SMALL | ENOUGH).items():
        monkeypatch.setattr(sampling, name, value)
    monkeypatch.setattr(sampling, "RANKED", 0.8)
    monkeypatch.setattr(random_trees, "BATCH", 48)
    monkeypatch.setattr(learning, "RANDOM_FROM_STEP", 10)
    output = tmp_path / "out"
    settings = SampleSettings(
        alignment=str(alignment),
        output=output,
        environment="merging",
        random_joins=True,
        samples=20,
        threads=1,
        quiet=True,
    )
    with Progress("phylogfn", quiet=True) as progress:
        sampling.run_sample(settings, progress)
    extra = json.loads((output / "summary.json").read_text())["extra"]
    assert 0.7 < extra["random_joins_correlation"] < 1.0
    assert "random_joins = true" in (output / "run.toml").read_text()


@pytest.mark.parametrize(
    "options", [[], ["--environment", "merging", "--branch-lengths", "lognormal"]]
)
def test_they_need_topologies_by_merging(alignment, tmp_path, capsys, options):
    from phylogfn.cli.main import main

    given = [str(alignment), "-o", str(tmp_path / "out"), "--random-joins", *options]
    assert main(["sample", *given]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "error" in x.lower()]
    assert "--random-joins: only with --environment merging" in line
