"""Training on two processes: the gradient is that of one process on the joined batch."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import gfncore.training.trainer
from gfncore.errors import UserError
from gfncore.objectives.base import make_objective
from gfncore.policies import Backbone, Head, Policy
from gfncore.training.distributed import Processes, join_processes, process_rank, refuse_several
from gfncore.training.experience import draw_experience
from gfncore.training.losses import score_experience
from gfncore.training.replay import Replay
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from gfncore.trajectories.batch import ScoredTrajectories

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
STEPS = 3
OBJECTIVES = (
    "trajectory_balance",
    "log_variance",
    "detailed_balance",
    "sub_trajectory_balance",
    "flow_matching",
    "learned_energy_decomposition",
    "modified_detailed_balance",
    "relative_trajectory_balance",
)


def load(name):
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, HERE.parent / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def make_trainer(name, processes=None):
    grid = load("hypergrid").Hypergrid(5)
    torch.manual_seed(3)
    objective = make_objective(name, log_z=0.5)
    prior = (
        Policy(Backbone(grid.features, relations=2, hidden=8)) if objective.needs_prior else None
    )
    energies = None
    if objective.needs_step_energies:
        energies = Policy(Backbone(grid.features, relations=2, hidden=8))
    policy = Policy(Backbone(grid.features, relations=2, hidden=16), flow=objective.needs_flow)
    for head in policy.heads:  # the last layers start at zero
        assert isinstance(head, Head)
        torch.nn.init.normal_(head.last.weight)
    settings = TrainingSettings(steps=100, on_policy=12, replay=8, learning_rate=1e-2)

    return Trainer(
        grid,
        policy,
        objective,
        settings,
        np.random.default_rng(7),
        replay=Replay(grid),
        processes=processes,
        prior=prior,
        step_energies=energies,
    )


def set_parameters(trainer, values):
    parameters = [*trainer.parameters, *trainer.objective.parameters()]
    pieces = torch.from_numpy(values).split([p.numel() for p in parameters])
    with torch.no_grad():
        for parameter, piece in zip(parameters, pieces, strict=True):
            parameter.copy_(piece.view(parameter.shape))


def flat(parameters):
    return torch.cat([p.detach().flatten() for p in parameters]).numpy()


def gradients(trainer):
    parameters = [*trainer.parameters, *trainer.objective.parameters()]
    return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).numpy()


def work(folder):
    """What each of the two processes does; its trajectories and gradients go to a file."""
    torch.set_num_threads(1)
    for name, port in zip(OBJECTIVES, os.environ["PORTS"].split(), strict=True):
        os.environ["MASTER_PORT"] = port
        processes = join_processes([11])
        assert processes is not None
        trainer = make_trainer(name, processes)
        assert trainer.replay is not None
        if processes.leads:  # the others get it with the first order
            with torch.no_grad():
                for parameter in trainer.parameters:
                    parameter.mul_(0.9)
        kept = {}

        def recorded(trainer, kept=kept):
            kept["before"] = flat([*trainer.parameters, *trainer.objective.parameters()])
            kept["experience"] = draw_experience(trainer)
            return kept["experience"]

        gfncore.training.trainer.draw_experience = recorded  # this process does nothing else
        if processes.leads:
            for _ in range(STEPS):
                metrics = trainer.step()
            assert metrics["replay_size"] == len(trainer.replay)
            processes.finish()
        else:
            trainer.follow()
        drawn = [
            {
                "positions": part.trajectories.terminals.values,
                "log_reward": part.log_reward,
            }
            for part in kept["experience"]
        ]
        torch.save(
            {
                "before": kept["before"],
                "experience": kept["experience"],
                "drawn": drawn,
                "gradient": gradients(trainer),
                "after": flat([*trainer.parameters, *trainer.objective.parameters()]),
                "replay": (trainer.replay.states.values, trainer.replay.log_reward),
                "step": trainer.step_number,
            },
            Path(folder) / f"{name}.{processes.rank}.pt",
        )


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    ports = " ".join(map(str, free_ports(len(OBJECTIVES))))
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "WORLD_SIZE": "2", "PORTS": ports}
    started = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            env={
                **os.environ,
                **place,
                "RANK": str(rank),
                "PYTHONPATH": str(ROOT),
                "CUDA_VISIBLE_DEVICES": "",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        said = [process.communicate(timeout=120)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], said
    load("hypergrid")
    return {
        name: [torch.load(folder / f"{name}.{rank}.pt", weights_only=False) for rank in range(2)]
        for name in OBJECTIVES
    }


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_gradient_is_that_of_the_joined_batch(two_processes, name):
    first, second = two_processes[name]
    alone = make_trainer(name)
    set_parameters(alone, first["before"])
    parts = [*first["experience"], *second["experience"]]
    assert [len(part.log_reward) for part in parts] == [12, 8, 12, 8]
    batch = ScoredTrajectories.concat([score_experience(alone, part) for part in parts])
    alone.objective(batch).backward()
    expected = gradients(alone)
    assert np.abs(expected).max() > 1e-3
    for found in (first, second):
        apart = np.abs(found["gradient"] - expected).max()
        assert apart <= 1e-6 * np.abs(expected).max()
    # that of one process's own batch is another
    halves = make_trainer(name)
    set_parameters(halves, first["before"])
    own = ScoredTrajectories.concat(
        [score_experience(halves, part) for part in first["experience"]]
    )
    halves.objective(own).backward()
    assert not np.allclose(gradients(halves), expected, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_processes_draw_apart_and_stay_together(two_processes, name):
    first, second = two_processes[name]
    assert first["step"] == second["step"] == STEPS
    np.testing.assert_array_equal(first["before"], second["before"])
    np.testing.assert_array_equal(first["after"], second["after"])
    assert not np.array_equal(first["before"], first["after"])
    for one, other in zip(first["drawn"], second["drawn"], strict=True):
        assert not np.array_equal(one["positions"], other["positions"])
    for one, other in zip(first["replay"], second["replay"], strict=True):
        np.testing.assert_array_equal(one, other)
    # what either drew is known to both, with the reward that rank 0 gave it
    known = {tuple(row): r for row, r in zip(*first["replay"], strict=True)}
    for found in (first, second):
        for part in found["drawn"]:
            for row, log_reward in zip(part["positions"], part["log_reward"], strict=True):
                assert known[tuple(row)] == log_reward


def test_one_process_is_no_group(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    assert join_processes([1]) is None
    assert process_rank() == 0
    refuse_several("phylogfn sample")
    place = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for key, value in place.items():
        monkeypatch.setenv(key, value)
    assert process_rank() == 1
    with pytest.raises(UserError, match="phylogfn sample runs in one process"):
        refuse_several("phylogfn sample")


def test_a_connection_that_broke_is_told_in_one_line(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("[gloo/pair.cc:1]\nConnection closed by peer")

    monkeypatch.setattr(torch.distributed, "broadcast_object_list", broken)
    with pytest.raises(UserError, match="--resume continues from the last checkpoint") as caught:
        Processes(0, 2, [1]).finish()
    assert "\n" not in str(caught.value)
    assert "Connection closed by peer" in str(caught.value)


def test_importing_it_imports_no_torch():
    code = "import sys, gfncore.training.distributed\nprint('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.lower()) is False


if __name__ == "__main__":
    work(sys.argv[1])
