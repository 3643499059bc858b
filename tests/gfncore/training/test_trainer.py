"""Training on small hypergrids: targets are reached, runs are repeated and resumed exactly."""

# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from gfncore.evaluation import chi_squared, exact_distribution, total_variation
from gfncore.objectives.base import make_objective
from gfncore.program.metrics import MetricsWriter
from gfncore.tempering import TemperedEnvironment
from gfncore.training.checkpoint import (
    CheckpointError,
    read_checkpoint,
    restore_trainer,
    save_checkpoint,
)
from gfncore.training.replay import Replay, TemperedReplay
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.batch import KnownObjects, StateTargets


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def target(grid, exact):
    log_reward = grid.log_reward(exact.terminals)
    log_z = np.logaddexp.reduce(log_reward)
    return np.exp(log_reward - log_z), log_z


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("trajectory_balance", "Hypergrid"),
        ("log_variance", "Hypergrid"),
        ("trajectory_balance", "SymmetricHypergrid"),
    ],
)
def test_small_grid_is_learned(hypergrid, make_policy, name, kind):
    grid = getattr(hypergrid, kind)(4, duplicates=True)
    policy = make_policy(grid, hidden=32)
    settings = TrainingSettings(
        150, on_policy=64, epsilon=0.1, learning_rate=1e-2, schedule="cosine"
    )
    trainer = Trainer(grid, policy, make_objective(name), settings, np.random.default_rng(1))
    seen = []
    trainer.run(seen.append)
    exact = exact_distribution(grid, policy)
    p, log_z = target(grid, exact)
    assert total_variation(exact.probability, p) < 0.03
    assert seen[-1]["log_z"] == pytest.approx(log_z, abs=0.05)
    assert seen[-1]["step"] == 150
    parts = [seen[-1][f"seconds_{part}"] for part in ("sampling", "policy", "reward", "other")]
    assert sum(parts) == pytest.approx(seen[-1]["seconds"])


def test_learned_backward_policy_and_replay(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4)
    policy, backward = make_policy(grid, hidden=32), make_policy(grid, seed=1, hidden=32)
    replay = Replay(grid)
    settings = TrainingSettings(
        steps=100, on_policy=24, replay=24, learning_rate=1e-2, schedule="cosine"
    )
    trainer = Trainer(
        grid,
        policy,
        make_objective("trajectory_balance"),
        settings,
        np.random.default_rng(1),
        backward_policy=backward,
        replay=replay,
    )
    start = [p.detach().clone() for p in backward.parameters()]
    trainer.run()
    exact = exact_distribution(grid, policy)
    assert total_variation(exact.probability, target(grid, exact)[0]) < 0.03
    assert len(replay) == 16
    changed = [not torch.equal(a, b) for a, b in zip(start, backward.parameters(), strict=True)]
    assert any(changed)


def test_maximum_likelihood_on_exact_samples(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4)
    policy = make_policy(grid, hidden=32)
    exact = exact_distribution(grid, policy)
    p, _ = target(grid, exact)

    def samples(generator):
        return exact.terminals.take(generator.choice(len(p), size=256, p=p))

    settings = TrainingSettings(150, on_policy=0, learning_rate=1e-2, schedule="cosine")
    objective = make_objective("maximum_likelihood")
    Trainer(
        grid, policy, objective, settings, np.random.default_rng(0), terminal_batches=samples
    ).run()
    assert total_variation(exact_distribution(grid, policy).probability, p) < 0.05
    with pytest.raises(ValueError, match="on_policy is 64"):
        Trainer(grid, policy, objective, TrainingSettings(1), np.random.default_rng(0))


def exact_state_targets(grid):
    """Exact flows of the uniform backward policy, by recursion from the objects."""
    states = exact_distribution(grid).terminals
    inner = type(states)(states.values, np.zeros(len(states), bool))
    actions = grid.forward_actions(inner)
    flow = {}
    edge = np.zeros(len(actions))
    order = np.argsort(-inner.values[actions.state].sum(1), kind="stable")
    by_state = {tuple(x): 0.0 for x in inner.values}
    reward = np.exp(grid.log_reward(states))
    for i in order:
        s, a = actions.state[i], actions.action[i]
        if a == grid.d:
            edge[i] = reward[s]
        else:
            child = inner.values[s].copy()
            child[a] += 1
            edge[i] = by_state[tuple(child)] / (child > 0).sum()
        by_state[tuple(inner.values[s])] += edge[i]
    flow = np.array([by_state[tuple(x)] for x in inner.values])
    return StateTargets(inner, actions, edge / flow[actions.state], flow / flow.max())


def test_state_level_likelihood(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4)
    policy = make_policy(grid, hidden=32)
    targets = exact_state_targets(grid)
    settings = TrainingSettings(200, on_policy=0, learning_rate=1e-2, schedule="cosine")
    seen = []
    Trainer(
        grid,
        policy,
        make_objective("maximum_likelihood"),
        settings,
        np.random.default_rng(0),
        state_batches=lambda generator: targets,
    ).run(seen.append)
    exact = exact_distribution(grid, policy)
    assert total_variation(exact.probability, target(grid, exact)[0]) < 0.01
    assert 0.0 <= seen[-1]["state_loss"] < 1e-3
    assert "loss" not in seen[-1]


def make_trainer(grid, make_policy, seed=0, backward=True, replay=True, optimiser="adam"):
    settings = TrainingSettings(
        steps=12,
        on_policy=16,
        replay=8 if replay else 0,
        epsilon=0.1,
        optimiser=optimiser,
        schedule="linear",
        clip_norm=1.0,
    )
    return Trainer(
        grid,
        make_policy(grid, seed=seed, hidden=8),
        make_objective("trajectory_balance"),
        settings,
        np.random.default_rng(seed),
        backward_policy=make_policy(grid, seed=seed + 1, hidden=8) if backward else None,
        replay=Replay(grid, capacity=12) if replay else None,
    )


def known_of(grid, scale):
    """All objects of a grid with their rewards."""
    terminals = exact_distribution(grid).terminals
    scales = None if scale is None else np.full(len(terminals), scale)
    return lambda generator: KnownObjects(terminals, grid.log_reward(terminals), scales)


def test_known_objects_are_learned_from_in_their_scale(hypergrid, make_policy):
    """Off-policy balance on all objects alone has the target for its minimum, in any scale."""
    grid = hypergrid.Hypergrid(3)
    log_reward = grid.log_reward(exact_distribution(grid).terminals)
    first = {}
    for scale in (None, 4.0):
        policy = make_policy(grid, hidden=32)
        settings = TrainingSettings(200, on_policy=0, learning_rate=1e-2, schedule="cosine")
        objective = make_objective("trajectory_balance")
        generator = np.random.default_rng(3)
        trainer = Trainer(
            grid, policy, objective, settings, generator, known_batches=known_of(grid, scale)
        )
        seen = []
        trainer.run(seen.append)
        first[scale] = seen[0]["loss"]
        assert seen[0]["trajectories"] == len(log_reward)
        exact = exact_distribution(grid, policy)
        p, log_z = target(grid, exact)
        assert total_variation(exact.probability, p) < 0.02
        assert seen[-1]["log_z"] == pytest.approx(log_z, abs=0.05)
    assert first[4.0] == pytest.approx(first[None] / 16.0, rel=1e-6)


def test_scales_are_refused_where_they_mean_nothing(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(3)
    settings = TrainingSettings(5, on_policy=8)
    objective = make_objective("log_variance")
    objective.takes_scales = False
    generator = np.random.default_rng(3)
    trainer = Trainer(
        grid,
        make_policy(grid),
        objective,
        settings,
        generator,
        known_batches=known_of(grid, 2.0),
    )
    with pytest.raises(ValueError, match="LogVariance takes no scales"):
        trainer.step()
    trainer.known_batches = known_of(grid, None)
    assert trainer.step()["trajectories"] == 8 + len(exact_distribution(grid).terminals)


def test_resumed_run_is_the_uninterrupted_one(hypergrid, make_policy, tmp_path):
    grid = hypergrid.Hypergrid(5)
    whole, part = make_trainer(grid, make_policy), make_trainer(grid, make_policy)
    whole.run()
    part.run(lambda metrics: metrics["step"] == 5)
    save_checkpoint(tmp_path, part, {"phase": "walk"}, {"seen": np.arange(3)})
    resumed = make_trainer(grid, make_policy, seed=7)
    saved = read_checkpoint(tmp_path)
    assert saved.has_trainer
    assert saved.extra == {"phase": "walk"}
    assert saved.arrays["seen"].tolist() == [0, 1, 2]
    restore_trainer(saved, resumed)
    assert resumed.step_number == 5
    resumed.run()
    for module in ("policy", "backward_policy", "objective", "averaged"):
        first, second = getattr(whole, module), getattr(resumed, module)
        if module == "averaged":
            first, second = first.policy, second.policy
        for key, value in first.state_dict().items():
            assert torch.equal(value, second.state_dict()[key]), key
    assert np.array_equal(whole.replay.log_reward, resumed.replay.log_reward)
    assert whole.generator.random() == resumed.generator.random()


def test_the_names_in_a_checkpoint_are_those_of_its_format(hypergrid, make_policy, tmp_path):
    """Another set of names is another `FORMAT`: a run begun before could not be resumed."""
    trainer = make_trainer(hypergrid.Hypergrid(4), make_policy)
    trainer.step()
    save_checkpoint(tmp_path, trainer, arrays={"seen": np.arange(3)})
    saved = read_checkpoint(tmp_path)
    weights = list(trainer.policy.state_dict())
    expected = {f"{part}/{k}" for part in ("policy", "average", "backward_policy") for k in weights}
    expected |= {f"replay/{name}" for name in ("values", "finished", "log_reward")}
    expected |= {"objective/log_z", "arrays/seen"}
    learned = {key for key in saved.tensors if key.startswith("optimizer/")}
    assert set(saved.tensors) - learned == expected
    fields = {key.rpartition("/")[2] for key in learned}
    assert fields == {"step", "exp_avg", "exp_avg_sq"}
    assert set(saved.index) == {
        *("format", "origin", "extra", "step", "seconds_by_part", "generator", "optimiser"),
        *("tensors", "sha256"),
    }
    assert saved.index["format"] == 3


def test_the_shared_state_leaves_each_process_its_own(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4)
    leader, other = make_trainer(grid, make_policy), make_trainer(grid, make_policy, seed=5)
    leader.step()
    state = leader.state_dict(shared=True)
    assert set(state) == {"step", "tensors"}
    assert not [name for name in state["tensors"] if name.startswith("average/")]
    draws = other.generator.bit_generator.state
    other.load_state_dict(state, shared=True)
    assert other.step_number == 1 and other.generator.bit_generator.state == draws
    for key, value in leader.policy.state_dict().items():
        assert torch.equal(value, other.policy.state_dict()[key]), key
    assert np.array_equal(leader.replay.log_reward, other.replay.log_reward)


def test_checkpoint_keeps_one_complete_state(hypergrid, make_policy, tmp_path):
    grid = hypergrid.Hypergrid(4)
    trainer = make_trainer(grid, make_policy)
    for _ in range(2):
        trainer.step()
        save_checkpoint(tmp_path, trainer)
    tensors = json.loads((tmp_path / "checkpoint.json").read_text())["tensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["checkpoint.json", tensors])
    # Killed while writing the next one, and between its two files: what is there still loads.
    (tmp_path / ".writing-abc").write_bytes(b"half")
    (tmp_path / "0123456789abcdef.safetensors").write_bytes(b"whole")
    fresh = make_trainer(grid, make_policy, seed=3)
    restore_trainer(read_checkpoint(tmp_path), fresh)
    assert fresh.step_number == 2
    # The next one clears what was left; the same state again has the same name.
    save_checkpoint(tmp_path, fresh)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["checkpoint.json", tensors])


def test_checkpoint_without_trainer(tmp_path):
    save_checkpoint(tmp_path, None, {"phase": "walk"}, {"a/b": np.array([1.5, 2.5])})
    saved = read_checkpoint(tmp_path)
    assert not saved.has_trainer
    assert saved.extra == {"phase": "walk"}
    assert saved.arrays["a/b"].tolist() == [1.5, 2.5]


def test_bad_checkpoints_are_said_to_be_bad(hypergrid, make_policy, tmp_path):
    grid = hypergrid.Hypergrid(4)
    trainer = make_trainer(grid, make_policy)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        read_checkpoint(tmp_path / "nowhere")
    save_checkpoint(tmp_path, trainer)
    other = make_trainer(hypergrid.Hypergrid(6), make_policy)
    with pytest.raises(CheckpointError, match="other settings"):
        restore_trainer(read_checkpoint(tmp_path), other)
    index = json.loads((tmp_path / "checkpoint.json").read_text())
    (tmp_path / index["tensors"]).write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="was damaged or changed since it was written"):
        read_checkpoint(tmp_path)
    (tmp_path / index["tensors"]).unlink()
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        read_checkpoint(tmp_path)
    (tmp_path / "checkpoint.json").write_text(json.dumps(index | {"format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        read_checkpoint(tmp_path)
    (tmp_path / "checkpoint.json").write_text("{")
    with pytest.raises(CheckpointError, match="was damaged"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("change", "more", "less"),
    [
        (
            {"replay": False},
            "it has a replay, and this run has none",
            "it has no replay, and this run has one",
        ),
        (
            {"backward": False},
            "it has a backward policy, and this run has none",
            "it has no backward policy, and this run has one",
        ),
        (
            {"optimiser": "muon"},
            "its optimiser is Adam, and that of this run is Muon",
            "its optimiser is Muon, and that of this run is Adam",
        ),
    ],
)
def test_checkpoints_of_other_parts_are_refused(
    hypergrid, make_policy, tmp_path, change, more, less
):
    grid = hypergrid.Hypergrid(4)
    for name, saved, wanted, reason in (
        ("more", {}, change, more),
        ("less", change, {}, less),
    ):
        trainer = make_trainer(grid, make_policy, **saved)
        trainer.step()
        save_checkpoint(tmp_path / name, trainer)
        other = make_trainer(grid, make_policy, seed=5, **wanted)
        before = [p.detach().clone() for p in other.policy.parameters()]
        with pytest.raises(CheckpointError, match=f"of a run with other settings: {reason}$"):
            restore_trainer(read_checkpoint(tmp_path / name), other)
        assert other.step_number == 0
        for old, new in zip(before, other.policy.parameters(), strict=True):
            assert torch.equal(old, new)


def test_a_replay_of_other_states_is_refused(hypergrid, make_policy, tmp_path):
    grid = hypergrid.Hypergrid(4)
    trainer = make_trainer(grid, make_policy)
    save_checkpoint(tmp_path, trainer)
    saved = read_checkpoint(tmp_path)
    tensors = dict(saved.tensors)
    tensors["replay/visited"] = tensors.pop("replay/finished")
    with pytest.raises(CheckpointError, match="other settings: its replay has .*visited"):
        restore_trainer(replace(saved, tensors=tensors), trainer)


def test_damaged_checkpoints_are_the_same_state_or_one_line(hypergrid, make_policy, tmp_path):
    """Bits flipped, bytes exchanged, ends cut off, in either file: never another state."""
    trainer = make_trainer(hypergrid.Hypergrid(4), make_policy)
    trainer.step()
    save_checkpoint(tmp_path, trainer, {"log_z": -1.5, "counts": [1, 2]}, {"x": np.arange(9)})
    whole = read_checkpoint(tmp_path)
    files = sorted(tmp_path.iterdir())
    before = [path.read_bytes() for path in files]
    chance = random.Random(1)
    refused = 0
    for trial in range(400):
        damaged = bytearray(before[trial % 2])
        how = chance.randrange(4)
        at = chance.randrange(len(damaged))
        if how == 0:
            damaged[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            damaged[at] = chance.randrange(256)
        elif how == 2:
            del damaged[at:]
        else:
            damaged[at:at] = b"0"
        files[trial % 2].write_bytes(damaged)
        try:
            saved = read_checkpoint(tmp_path)
        except CheckpointError as problem:
            refused += 1
            assert "\n" not in str(problem) and str(tmp_path) in str(problem)
        else:
            assert saved.index == whole.index
            assert saved.tensors.keys() == whole.tensors.keys()
            assert all(torch.equal(saved.tensors[k], v) for k, v in whole.tensors.items())
        files[trial % 2].write_bytes(before[trial % 2])
    assert refused > 350


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"extra": {"phase": "other"}}, "its checksum differs"),
        ({"step": 10**6}, "its checksum differs"),
        ({"sha256": "0" * 64}, "its checksum differs"),
        ({"checksum": None}, "its checksum differs"),
        ({"format": 2}, "format 2, but this version reads 3; resume with the version"),
        ({"format": "3"}, "was damaged"),
        ({"format": None}, "was damaged"),
    ],
)
def test_an_edited_index_is_refused(hypergrid, make_policy, tmp_path, change, words):
    trainer = make_trainer(hypergrid.Hypergrid(4), make_policy)
    save_checkpoint(tmp_path, trainer, {"phase": "walk"})
    path = tmp_path / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint(tmp_path)


def test_tensors_of_another_checkpoint_are_refused(tmp_path):
    for name, value in (("a", 1.0), ("b", 2.0)):
        save_checkpoint(tmp_path / name, None, {}, {"x": np.array([value])})
    (first,) = (tmp_path / "a").glob("*.safetensors")
    (second,) = (tmp_path / "b").glob("*.safetensors")
    first.write_bytes(second.read_bytes())
    with pytest.raises(CheckpointError, match="was damaged or changed"):
        read_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("content", ["", "[]", "1", "{}", "[" * 100_000, '{"format": 3}', "\xff"])
def test_an_index_that_is_something_else_is_refused(tmp_path, content):
    (tmp_path / "checkpoint.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(CheckpointError, match="was damaged or changed|cannot be read"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({"command": "phylogfn parsimony"}, "is of command phylogfn sample, and this is phylogfn"),
        ({"version": "0.2.0"}, "is of version 0.1.0, and this is 0.2.0"),
        (
            {"settings": {"environment": "merging", "sizes": (5, 6)}},
            "of a run with environment 'insertion', and the settings say 'merging'",
        ),
        ({"settings": {"sizes": (5, 6)}}, "and the settings say unset"),
        ({"settings": {"environment": "insertion", "sizes": (5,)}}, "with sizes \\[5, 6\\]"),
    ],
)
def test_checkpoints_of_another_origin_are_refused(tmp_path, now, words):
    origin = {
        "command": "phylogfn sample",
        "version": "0.1.0",
        "settings": {"environment": "insertion", "sizes": (5, 6)},
    }
    save_checkpoint(tmp_path, None, origin=origin)
    read_checkpoint(tmp_path, origin)
    read_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint(tmp_path, origin | now)


def test_an_optimiser_or_replay_that_does_not_fit_is_one_line(hypergrid, make_policy, tmp_path):
    grid = hypergrid.Hypergrid(4)
    trainer = make_trainer(grid, make_policy)
    trainer.step()
    save_checkpoint(tmp_path, trainer)
    saved = read_checkpoint(tmp_path)
    moments = next(k for k in saved.tensors if k.startswith("optimizer/") and k.endswith("exp_avg"))
    for name, value, words in (
        (moments, torch.zeros(1, 2, 3), "has shape"),
        ("optimizer/999/exp_avg", torch.zeros(1), "out of range"),
        ("optimizer/x/exp_avg", torch.zeros(1), "is not an integer"),
        ("replay/log_reward", torch.zeros(3, dtype=torch.float64), "does not fit its 3 objects"),
        ("replay/log_reward", torch.zeros(2, 2, dtype=torch.float64), "does not fit"),
    ):
        with pytest.raises(CheckpointError, match=words):
            restore_trainer(
                replace(saved, tensors=saved.tensors | {name: value}),
                make_trainer(grid, make_policy),
            )
    for key in ("step", "generator", "seconds_by_part"):
        for index in (
            saved.index | {key: None},
            {k: v for k, v in saved.index.items() if k != key},
        ):
            with pytest.raises(CheckpointError, match="cannot be used"):
                restore_trainer(replace(saved, index=index), make_trainer(grid, make_policy))


def test_time_budget_ends_the_run(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(4)
    settings = TrainingSettings(steps=10**6, seconds=0.2, on_policy=4, schedule="linear")
    trainer = Trainer(
        grid,
        make_policy(grid, hidden=8),
        make_objective("log_variance"),
        settings,
        np.random.default_rng(0),
    )
    trainer.run()
    assert 0.2 <= trainer.seconds < 2.0


def test_settings_are_checked(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(3)
    with pytest.raises(ValueError, match="'cosin'"):
        TrainingSettings(1, schedule="cosin")
    with pytest.raises(ValueError, match="steps is 0"):
        TrainingSettings(0)
    for seconds in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=f"seconds is {seconds}, but must be above 0"):
            TrainingSettings(1, seconds=seconds)
    with pytest.raises(ValueError, match="replay"):
        Trainer(
            grid,
            make_policy(grid),
            make_objective("log_variance"),
            TrainingSettings(1, replay=4),
            np.random.default_rng(0),
        )


def test_a_step_with_nothing_to_learn_from_says_why(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(3)
    replay = Replay(grid)
    settings = TrainingSettings(2, on_policy=0, replay=5)
    trainer = Trainer(
        grid,
        make_policy(grid, hidden=8),
        make_objective("log_variance"),
        settings,
        np.random.default_rng(0),
        replay=replay,
    )
    with pytest.raises(ValueError, match="5 trajectories are to come from replay alone, which is"):
        trainer.step()
    terminals = exact_distribution(grid).terminals
    replay.add(terminals, grid.log_reward(terminals))
    assert trainer.step()["trajectories"] == 5
    trainer.from_replay = 0
    with pytest.raises(ValueError, match="there are no training data: set on_policy above 0"):
        trainer.step()


@pytest.mark.parametrize("loss_shape", ["square", "pseudo_huber"])
@pytest.mark.parametrize("name", ["trajectory_balance", "log_variance"])
@pytest.mark.parametrize("missing", [-np.inf, np.nan])
def test_log_rewards_that_are_not_finite_stop_training(
    hypergrid, make_policy, name, loss_shape, missing
):
    class Holes(hypergrid.Hypergrid):
        def log_reward(self, states):
            empty = states.values[:, 0] == 1
            return np.where(empty, missing, super().log_reward(states))

    grid = Holes(3)
    terminals = exact_distribution(hypergrid.Hypergrid(3)).terminals
    policy = make_policy(grid, hidden=8)
    trainer = Trainer(
        grid,
        policy,
        make_objective(name, loss_shape=loss_shape),
        TrainingSettings(5, on_policy=0),
        np.random.default_rng(0),
        terminal_batches=lambda generator: terminals,
    )
    before = [p.detach().clone() for p in policy.parameters()]
    with pytest.raises(ValueError, match="log rewards of 3 of 9 objects are not finite"):
        trainer.step()
    for old, new in zip(before, policy.parameters(), strict=True):
        assert torch.equal(old, new)


def test_rewards_that_the_loss_does_not_read_may_be_zero(hypergrid, make_policy):
    class Ordered(hypergrid.Hypergrid):
        def log_reward(self, states):
            return np.full(len(states), -np.inf)

        has_objectives = True

        def objectives(self, states):
            return states.values[:, :1].astype(float)

    grid = Ordered(3)
    policy = make_policy(grid, hidden=8)
    objective = make_objective("order_preserving")
    settings = TrainingSettings(2, on_policy=8)
    trainer = Trainer(grid, policy, objective, settings, np.random.default_rng(0))
    assert math.isfinite(trainer.step()["loss"])
    assert trainer.step()["mean_log_reward"] == -math.inf


def test_losses_that_are_not_finite_stop_training(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(3)
    policy = make_policy(grid, hidden=8)
    objective = make_objective("trajectory_balance", log_z=math.inf)
    settings, rng = TrainingSettings(2, on_policy=8), np.random.default_rng(0)
    trainer = Trainer(grid, policy, objective, settings, rng)
    with pytest.raises(ValueError, match="the loss is inf: use a smaller learning rate"):
        trainer.step()
    targets = exact_state_targets(grid)
    weights = np.full(len(targets.weights), np.nan)
    trainer.on_policy = 0
    trainer.state_batches = lambda generator: replace(targets, weights=weights)
    with pytest.raises(ValueError, match="the loss of states is nan"):
        trainer.step()
    assert all(bool(torch.isfinite(p).all()) for p in policy.parameters())


def test_the_objective_is_moved_to_the_device_of_the_policy(hypergrid, make_policy):
    grid = hypergrid.Hypergrid(3)
    policy = make_policy(grid, hidden=8).to("meta")  # the one other device that is everywhere
    objective = make_objective("trajectory_balance", conditional=True)
    trainer = Trainer(grid, policy, objective, TrainingSettings(1), np.random.default_rng(0))
    learned = list(trainer.objective.parameters())
    assert len(learned) == 3 and all(p.is_meta for p in learned)
    group = trainer.optimizer.param_groups[1]["params"]
    assert all(a is b for a, b in zip(group, learned, strict=True))
    assert trainer.averaged.policy.device.type == "meta"


def test_replay_is_unique_and_keeps_the_best(hypergrid):
    grid = hypergrid.Hypergrid(8)
    terminals = exact_distribution(grid).terminals
    log_reward = np.linspace(-5, 5, 64)
    replay = Replay(grid, capacity=30)
    assert replay.add(terminals.take(np.array([3, 3, 4])), log_reward[[3, 3, 4]]) == 2
    assert replay.add(terminals.take(np.array([3, 5])), log_reward[[3, 5]]) == 1
    replay.add(terminals, log_reward)
    assert sorted(replay.log_reward) == sorted(log_reward[-30:])
    states, drawn = replay.draw(1000, np.random.default_rng(0))
    assert len(states) == 1000
    best = (drawn >= np.sort(log_reward)[-3]).mean()
    assert 0.5 < best < 0.62  # half, and a tenth of the other half
    replay.prioritised = False
    assert (replay.draw(1000, np.random.default_rng(0))[1] >= np.sort(log_reward)[-3]).mean() < 0.2


def test_tempered_replay_draws_half_by_the_reward_at_each_temperature(hypergrid):
    grid = hypergrid.Hypergrid(4)
    ends = exact_distribution(grid).terminals
    environment = TemperedEnvironment(grid, 1.0)
    replay = TemperedReplay(environment, prioritised=False)
    replay.add(ends, grid.log_reward(ends))
    betas = [0.25, 8.0]
    environment.set_temperatures(betas)
    states, log_reward = replay.draw(40_000, np.random.default_rng(0))
    assert np.array_equal(grid.log_reward(states), log_reward)
    place = states.values[:, 0] * 4 + states.values[:, 1]
    cell = ends.values[:, 0] * 4 + ends.values[:, 1]
    for i, beta in enumerate(betas):
        counts = np.bincount(place[i::2], minlength=16)[cell]
        weight = np.exp(beta * grid.log_reward(ends))
        expected = 0.5 * weight / weight.sum() + 0.5 / 16
        assert chi_squared(counts, expected).p_value > 1e-3


def test_metrics_are_cut_back_on_resume(tmp_path):
    path = tmp_path / "train.jsonl"
    with MetricsWriter(path) as writer:
        for step in range(1, 5):
            writer.write({"step": step})
    with path.open("a") as file:
        file.write('{"step": 5')
    with MetricsWriter(path, after_step=3) as writer:
        writer.write({"step": 4, "again": True})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"step": 1}, {"step": 2}, {"step": 3}, {"step": 4, "again": True}]


def test_metrics_of_several_runs_in_one_file(tmp_path):
    path = tmp_path / "train.jsonl"
    for run, steps in ((1, 3), (2, 4)):
        with MetricsWriter(path, run=run) as writer:
            for step in range(1, steps + 1):
                writer.write({"step": step})
    for run, after, again in ((1, 3, 4), (2, 2, 3)):
        with MetricsWriter(path, after_step=after, run=run) as writer:
            writer.write({"step": again, "again": True})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    found = {run: [x["step"] for x in lines if x["run"] == run] for run in (1, 2)}
    assert found == {1: [1, 2, 3, 4], 2: [1, 2, 3]}
    assert [x["run"] for x in lines if "again" in x] == [1, 2]
    with MetricsWriter(path, run=2):  # begins anew
        pass
    assert {json.loads(line)["run"] for line in path.read_text().splitlines()} == {1}


def test_metrics_that_are_not_finite_are_null(tmp_path):
    path = tmp_path / "train.jsonl"
    with MetricsWriter(path) as writer:
        writer.write({"step": 1, "log_z": float("-inf"), "loss": float("nan"), "rate": 0.001})
    assert path.read_text() == '{"step": 1, "log_z": null, "loss": null, "rate": 0.001}\n'
