"""Enumerated spaces, exact distributions of policies, and what theory says of each regime."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import QED

from gfncore.errors import UserError
from gfncore.evaluation import exact_distribution, total_variation
from gfncore.keys import unique_keys
from gfncore.program.progress import Progress
from gfncore.training.trainer import Trainer
from gfncore.trajectories.scoring import state_log_probabilities
from molgen.environments.atoms import AtomEnvironment
from molgen.environments.fragments import FragmentEnvironment
from molgen.fragments.vocabulary import Vocabulary
from molgen.molecules.graph import AtomTable
from molgen.policy import make_policy
from molgen.runs.exact import (
    Recipe,
    draw_molecules,
    enumerate_space,
    ideal_distribution,
    jensen_shannon,
    policy_distribution,
    row_warnings,
    run_exact,
    train_policy,
)
from molgen.settings import ExactSettings
from molgen.symmetry import SYMMETRIES

# symmetric fragments, and molecules that fall into them in several ways
FRAGMENTS = ["[*]c1ccc([*])cc1", "[*]C([*])[*]", "[*]CC[*]", "[*]O[*]"]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def log_qed(smiles):
    return np.log([QED.qed(Chem.MolFromSmiles(s)) for s in smiles])


def atoms(largest=3):
    return AtomEnvironment(AtomTable.of(["C", "N", "O"]), largest, log_qed)


def fragments():
    return FragmentEnvironment(Vocabulary.of(FRAGMENTS), log_qed, max_fragments=3, max_atoms=14)


@pytest.fixture(scope="module")
def small():
    return enumerate_space(atoms())


@pytest.fixture(scope="module")
def joined():
    return enumerate_space(fragments())


def random_policy(environment):
    policy = make_policy(environment, hidden=16, rounds=2)
    torch.manual_seed(3)
    for head in policy.heads:
        torch.nn.init.normal_(head.last.weight)
    return policy


def perfect_sampler(environment):
    """Keys of finished states, their probabilities, and log Z, of raw flows that balance.

    Over raw actions a: s -> s', the flow of a is F(s') P_B(back of a) (scaled), and P_F(a) is its
    share of F(s); with one backward action of a state as likely as another.
    """
    levels, level = [], environment.initial(1)
    while len(level):
        actions = environment.forward_actions(level)
        codes = actions.action[actions.first_of_class]
        children = environment.step(level.take(actions.state_of_class), codes).states
        first, inverse = unique_keys(environment.keys(children))
        distinct = children.take(first)
        levels.append((level, actions, distinct, inverse))
        level = distinct.take(np.flatnonzero(~environment.is_terminal(distinct)))
    flow_of_next, shares = np.zeros(0), []
    for level, actions, distinct, inverse in reversed(levels):
        finished = environment.is_terminal(distinct)
        flow = np.empty(len(distinct))
        ends = distinct.take(np.flatnonzero(finished))
        flow[finished] = np.exp(environment.log_reward(ends)) if len(ends) else []
        flow[~finished] = flow_of_next
        back = environment.backward_actions(distinct).classes_per_state(len(distinct))
        gain = environment.log_scale(distinct)[inverse]
        gain -= environment.log_scale(level)[actions.state_of_class]
        edge = flow[inverse] / back[inverse] * np.exp(gain)
        flow_of_next = np.bincount(actions.state_of_class, edge, minlength=len(level))
        shares.append(edge / flow_of_next[actions.state_of_class])
    log_z = np.log(flow_of_next[0])
    mass, keys, probabilities = np.ones(1), [], []
    for (_, actions, distinct, inverse), share in zip(levels, reversed(shares), strict=True):
        reached = np.bincount(inverse, share * mass[actions.state_of_class], len(distinct))
        finished = environment.is_terminal(distinct)
        keys.append(environment.keys(distinct)[finished])
        probabilities.append(reached[finished])
        mass = reached[~finished]
    return np.concatenate(keys), np.concatenate(probabilities), log_z


def by_molecule(space, keys, probability):
    known = space.environment.keys(space.terminals)
    first, inverse = unique_keys(np.concatenate([known, keys]))
    assert len(first) == len(known) == len(keys)
    row = np.empty(len(known), np.int64)
    row[inverse[: len(known)]] = space.molecule
    return np.bincount(row[inverse[len(known) :]], probability, minlength=len(space.molecules))


def test_small_spaces_have_the_known_sizes_and_every_molecule_once(small):
    assert len(small.molecules) == 3 + 15 + 74
    assert small.n_states == 1 + 2 * len(small.terminals)
    assert np.allclose(small.log_reward, log_qed(small.molecules))
    assert small.target.sum() == pytest.approx(1.0)
    assert np.array_equal(small.molecules_of(small.terminals), small.molecule)


def test_multiplicities_are_counted_right(joined):
    count = np.bincount(joined.molecule)
    assert count.max() > 1
    found = joined.environment.multiplicity(joined.terminals)
    assert np.array_equal(found, count[joined.molecule])
    assert np.allclose(joined.log_reward, log_qed(joined.molecules))


@pytest.mark.parametrize("make", [atoms, fragments])
@pytest.mark.parametrize("regime", ["merged", "none"])
def test_a_policys_distribution_is_that_of_its_raw_actions(make, regime):
    environment = make()
    space = enumerate_space(environment)
    policy = random_policy(environment)
    raw = exact_distribution(environment.with_symmetry(regime), policy)
    expected = by_molecule(space, raw.keys, raw.probability)
    assert np.allclose(policy_distribution(space, policy), expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("regime", SYMMETRIES)
@pytest.mark.parametrize("kind", ["small", "joined"])
def test_theory_is_what_balanced_flows_give(request, kind, regime):
    space = request.getfixturevalue(kind)
    ideal, log_z = ideal_distribution(space, regime)
    keys, probability, found = perfect_sampler(space.environment.with_symmetry(regime))
    assert found == pytest.approx(log_z)
    assert np.allclose(by_molecule(space, keys, probability), ideal)
    distance = total_variation(ideal, space.target)
    if regime == "none":
        assert distance > 0.05
        assert abs(log_z - space.log_partition) > 0.05
    else:
        assert distance < 1e-12
        assert log_z == pytest.approx(space.log_partition)


def test_draws_are_what_the_policy_says(small):
    policy = random_policy(small.environment)
    rows, log_weights = draw_molecules(
        small, small.environment, policy, 12_000, np.random.default_rng(0)
    )
    assert rows.shape == log_weights.shape == (12_000,)
    frequency = np.bincount(rows, minlength=92) / 12_000
    found = policy_distribution(small, policy)
    noise = np.sqrt(found * (1 - found) / 12_000)
    assert (np.abs(frequency - found) < 5 * noise + 1e-3).all()


def test_states_of_another_space_are_refused(small):
    with pytest.raises(KeyError, match="not among"):
        small.molecules_of(enumerate_space(atoms(4)).terminals)


def test_what_cannot_be_is_refused(small):
    with pytest.raises(UserError, match="more than 50 states"):
        enumerate_space(atoms(), largest=50)
    with pytest.raises(ValueError, match="merged, reward_scaling"):
        ideal_distribution(small, "half")


def test_jensen_shannon_by_hand():
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(np.log(2))
    p, q = np.array([0.5, 0.5]), np.array([0.5, 0.5])
    assert jensen_shannon(p, q) == 0.0
    expected = 0.5 * (np.log(4 / 3)) + 0.5 * (0.5 * np.log(2 / 3) + 0.5 * np.log(2))
    assert jensen_shannon(np.array([1.0, 0.0]), p) == pytest.approx(expected)


def test_training_stops_when_it_is_good_enough_or_out_of_steps():
    space = enumerate_space(atoms(2))
    recipe = replace(Recipe(), hidden=16, rounds=2, on_policy=16, replay=32, steps=12, check=5)
    short = train_policy(
        space.environment, "merged", space, recipe, seconds=60.0, enough=0.0, seed=2
    )
    assert short.trajectories == 12 * (16 + 32)
    assert short.steps == 12 and [m["step"] for m in short.history] == [5, 10, 12]
    reports = []
    good = train_policy(
        space.environment, "none", space, recipe, seconds=60.0, enough=1.0, report=reports.append
    )
    assert good.steps == 5 and reports == good.history
    ideal, _ = ideal_distribution(space, "none")
    found = total_variation(policy_distribution(space, good.policy), ideal)
    assert found == pytest.approx(good.history[-1]["total_variation"])


def test_early_steps_may_have_fewer_trajectories(monkeypatch):
    space = enumerate_space(atoms(2))
    recipe = replace(Recipe(), hidden=16, rounds=2, on_policy=16, replay=32, steps=5, check=5)
    sizes = []
    step = Trainer.step

    def counted(trainer):
        sizes.append((trainer.on_policy, trainer.from_replay))
        return step(trainer)

    monkeypatch.setattr(Trainer, "step", counted)
    train_policy(
        space.environment, "merged", space, replace(recipe, first_share=1 / 16), seconds=600.0
    )
    assert sizes[0] == (1, 2) and sizes == sorted(sizes)
    assert sizes[-1] == (round(16 ** (4 / 5)), round(32 / 16 ** (1 / 5)))  # after 4 of 5 steps
    sizes.clear()
    train_policy(space.environment, "merged", space, recipe, seconds=600.0)
    assert sizes == [(16, 32)] * 5


def test_the_command_writes_the_truth_beside_what_is_sampled(tmp_path):
    settings = ExactSettings.model_validate(
        {
            "output": tmp_path,
            "max_atoms": 2,
            "symmetry": ["merged", "none"],
            "draws": 4000,
            "seed": 3,
            "quiet": True,
        }
    )
    run_exact(settings, Progress("molgen", quiet=True))
    found = json.loads((tmp_path / "exact.json").read_text())
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"exact.json", "run.toml", "provenance.json"}
    assert found["n_molecules"] == 18
    merged, none = found["corrections"]["merged"], found["corrections"]["none"]
    assert merged["total_variation"] <= 0.02
    assert abs(merged["log_partition"] - found["log_partition_true"]) <= 0.02
    assert merged["chi2_p_value_policy"] > 1e-4
    assert none["total_variation"] == pytest.approx(none["ideal_total_variation"], abs=0.03)
    assert none["log_partition"] == pytest.approx(none["ideal_log_partition"], abs=0.02)
    assert none["chi2_p_value"] < 1e-6 < none["chi2_p_value_policy"]
    assert found["warnings"] == []


def test_a_policys_distribution_sums_to_one_and_uses_the_graph(small):
    policy = random_policy(small.environment)
    with torch.no_grad():
        log_p = state_log_probabilities(small.environment, policy, small.states, small.actions)
    assert log_p.exp().sum().item() == pytest.approx(len(small.states))
    assert policy_distribution(small, policy).sum() == pytest.approx(1.0)


def row(total_variation, from_ideal, steps=400):
    return {
        "total_variation": total_variation,
        "total_variation_from_ideal": from_ideal,
        "training_steps": steps,
    }


def test_rows_that_do_not_show_what_they_are_meant_to_are_told():
    trained = {"merged": row(0.01, 0.01), "none": row(0.14, 0.01)}
    assert row_warnings(trained, 0.145) == []
    found = row_warnings({"merged": row(0.3512, 0.3512, 1), "none": row(0.175, 0.2, 1)}, 0.145)
    assert len(found) == 3
    assert found[0].startswith("merged: after 1 training step the sampler is still 0.351")
    assert "its row reflects the training error, not the correction" in found[1]
    assert "merged is as far from the target distribution" in found[2]
    assert "hardly distinguishes the corrections" in row_warnings(trained, 0.001)[0]
    assert row_warnings({"merged": row(0.01, 0.01)}, 0.001) == []


def test_a_budget_that_is_too_small_is_told(tmp_path, capsys):
    settings = ExactSettings.model_validate(
        {
            "output": tmp_path,
            "max_atoms": 3,
            "symmetry": ["merged", "none"],
            "draws": 100,
            "budget": "0.01s",
        }
    )
    with Progress("molgen", quiet=True) as progress:
        run_exact(settings, progress)
    found = json.loads((tmp_path / "exact.json").read_text())
    assert "training-error" in found["warning_codes"]
    assert f"warning: {found['warnings'][0]}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--max-atoms", "2", "--draws", "2"], ["--max-atoms", "1", "--elements", "C"]]
)
def test_draws_that_are_too_few_for_a_test_are_told(tmp_path, capsys, options):
    from molgen.cli.main import main

    out = tmp_path / "out"
    words = ["exact", "-o", str(out), "--budget", "1s", "--symmetry", "merged", "--threads", "1"]
    assert main([*words, *options]) == 0
    assert "too few for a test of goodness of fit" in capsys.readouterr().err
    row = json.loads((out / "exact.json").read_text())["corrections"]["merged"]
    assert row["chi2_p_value"] is None and row["log_partition_se"] is not None
