"""How fast is training on a hypergrid, beside torchgfn and gfnx?

Usage, from the checkout::

    python -m benchmarks.gfncore.hypergrid_speed
    python -m benchmarks.gfncore.hypergrid_speed --gfnx VENV/bin/python
    python -m benchmarks.gfncore.hypergrid_speed --quick

Trajectory balance with a uniform backward policy on a grid of 64 x 64, epsilon .05, Adam, and a
perceptron with two hidden layers of 256 units on one-hot coordinates, the same for all, on one
thread. All start each batch size from the same weights, which this engine has trained before, so
that trajectories are of the same length. A round is the same number of iterations of each, in
turns; seconds are those of the processor, so that other work on the machine counts little. torchgfn
draws without gradient and scores whole trajectories afterwards, the faster of its two ways. gfnx
(PyPI) needs an interpreter of its own; what it compiles is compiled before the first round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import markdown_table, measured_on
from gfncore.environment import Stepped
from gfncore.exploration import sample_trajectories
from gfncore.objectives.trajectory_balance import TrajectoryBalance
from gfncore.spaces import Hypergrid, VectorStates
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer

__all__ = ["main"]

SIDE, HIDDEN, EPSILON = 64, 256, 0.05
RATE, Z_RATE = 1e-3, 1e-1

Worker = Callable[[str, int], dict[str, float]]
"""``worker("train" or "draw", n)``: processor seconds and transitions of n batches."""


def timed(action: Callable[[], int], n: int) -> dict[str, float]:
    """Processor seconds and transitions of n calls of `action`, which returns its transitions."""
    began = time.process_time()
    states = sum(action() for _ in range(n))
    return {"seconds": time.process_time() - began, "states": states}


class CountedGrid(Hypergrid):
    """A grid that counts the transitions of all walkers."""

    transitions = 0

    def step(self, states: VectorStates, action: np.ndarray) -> Stepped:
        """Move and count."""
        self.transitions += len(action)
        return super().step(states, action)


class Ours:
    """A trainer of this engine."""

    def __init__(self, batch: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.space, self.batch = CountedGrid(SIDE), batch
        self.rng = np.random.default_rng(seed)
        settings = TrainingSettings(
            steps=10**9,
            on_policy=batch,
            epsilon=EPSILON,
            learning_rate=RATE,
            log_z_learning_rate=Z_RATE,
        )
        policy, objective = self.space.make_policy(HIDDEN, rounds=0), TrajectoryBalance()
        self.log_z = objective.log_z
        self.trainer = Trainer(self.space, policy, objective, settings, self.rng)

    def weights(self) -> dict[str, np.ndarray]:
        """Return weights (in, out) and biases of the three layers, and log Z; float32."""
        values = dict(self.trainer.policy.named_parameters())
        found: dict[str, torch.Tensor] = {"log_z": self.log_z}
        for i, name in enumerate(("backbone.inputs", "heads.0.first", "heads.0.last")):
            found |= {f"w{i}": values[f"{name}.weight"].T, f"b{i}": values[f"{name}.bias"]}
        found["b0"] = found["b0"] + values["backbone.types.weight"][0]
        return {name: value.detach().numpy().astype(np.float32) for name, value in found.items()}

    def __call__(self, action: str, n: int) -> dict[str, float]:
        """Train or draw n batches."""
        return timed(self._train if action == "train" else self._draw, n)

    def _train(self) -> int:
        before = self.space.transitions
        self.trainer.step()
        return self.space.transitions - before

    def _draw(self) -> int:
        policy = self.trainer.policy
        drawn = sample_trajectories(self.space, policy, self.batch, self.rng, EPSILON)
        return int(drawn.lengths.sum())


class TorchGFN:
    """torchgfn, as in its tutorial on hypergrids, with epsilon."""

    def __init__(self, batch: int, weights: dict[str, np.ndarray]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from gfn.gflownet import TBGFlowNet
            from gfn.gym import HyperGrid
            from gfn.modules import DiscretePolicyEstimator
            from gfn.utils.modules import DiscreteUniform, NeuralNet
        self.batch = batch
        self.grid = HyperGrid(2, SIDE, 0.1, 0.5, 2.0, preprocessor_name="KHot")
        network = NeuralNet(2 * SIDE, 3, HIDDEN, 2, "relu")
        names = ("torso.0", "torso.2", "last_layer")
        values = {}
        for i, name in enumerate(names):
            values[f"{name}.weight"] = torch.from_numpy(weights[f"w{i}"].T.copy())
            values[f"{name}.bias"] = torch.from_numpy(weights[f"b{i}"])
        network.load_state_dict(values)
        read = self.grid.preprocessor
        self.model = TBGFlowNet(
            DiscretePolicyEstimator(network, 3, read),
            DiscretePolicyEstimator(DiscreteUniform(2), 3, read, is_backward=True),
            float(weights["log_z"]),
        )
        groups = [{"params": list(network.parameters()), "lr": RATE}]
        groups.append({"params": [self.model.logZ], "lr": Z_RATE})
        self.optimiser = torch.optim.Adam(groups)

    def __call__(self, action: str, n: int) -> dict[str, float]:
        """Train or draw n batches."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return timed(self._train if action == "train" else lambda: self._draw()[1], n)

    def _draw(self) -> tuple[Any, int]:
        with torch.no_grad():
            drawn = self.model.sample_trajectories(
                self.grid, self.batch, save_logprobs=False, epsilon=EPSILON
            )
        return drawn, int(drawn.when_is_done.sum())

    def _train(self) -> int:
        drawn, transitions = self._draw()
        self.optimiser.zero_grad()
        self.model.loss(self.grid, drawn).backward()
        self.optimiser.step()
        return transitions


class Gfnx:
    """gfnx in a process of its own."""

    def __init__(self, python: str, batch: int, weights: Path) -> None:
        script = Path(__file__).with_name("hypergrid_gfnx.py")
        figures = [SIDE, batch, EPSILON, RATE, Z_RATE]
        one_thread = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        self.process = subprocess.Popen(
            [python, str(script), str(weights), *map(str, figures)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"XLA_FLAGS": one_thread, "JAX_PLATFORMS": "cpu"},
        )

    def __call__(self, action: str, n: int) -> dict[str, float]:
        """Train or draw n batches."""
        orders, answers = self.process.stdin, self.process.stdout
        assert orders is not None and answers is not None
        print(action, n, file=orders, flush=True)
        return json.loads(answers.readline())

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measured(
    workers: dict[str, Worker], rounds: int, iterations: int
) -> dict[str, dict[str, list[float]]]:
    """Figures of each round by program: iterations, transitions and draws a second, and steps."""
    found: dict[str, dict[str, list[float]]] = {
        name: {"iterations": [], "transitions": [], "drawn": [], "steps": []} for name in workers
    }
    for worker in workers.values():  # caches and compiled code
        worker("train", 2)
        worker("draw", 2)
    for number in range(rounds):
        order = list(workers) if number % 2 == 0 else list(workers)[::-1]
        for name in order:
            trained, drawn = (workers[name](action, iterations) for action in ("train", "draw"))
            row = found[name]
            row["iterations"].append(iterations / trained["seconds"])
            row["transitions"].append(trained["states"] / trained["seconds"])
            row["drawn"].append(drawn["states"] / drawn["seconds"])
            row["steps"].append(trained["states"] / iterations)
    return found


def text(values: Sequence[float] | np.ndarray, digits: int = 0) -> str:
    """Median and range."""
    low, middle, high = (f"{q:,.{digits}f}" for q in np.quantile(values, [0.0, 0.5, 1.0]))
    return f"{middle} ({low} to {high})"


def rows(batch: int, found: dict[str, dict[str, list[float]]]) -> list[list[str]]:
    """Rows of the table for one batch size."""
    own = np.array(found["gfncore"]["iterations"])
    return [
        [
            name,
            str(batch),
            f"{np.mean(row['steps']) / batch:.1f}",
            text(row["iterations"], 1),
            text(own / np.array(row["iterations"]), 1),
            text(row["transitions"]),
            text(row["drawn"]),
        ]
        for name, row in found.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--trained", type=int, default=2000, help="iterations before all begin")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=20, help="of a round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gfnx", metavar="PYTHON", help="an interpreter that has gfnx and optax")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 2 iterations")
    options = parser.parse_args(arguments)
    if options.quick:
        options.trained, options.rounds, options.iterations = 20, 2, 2
    torch.set_num_threads(1)
    table = []
    for batch in options.batches:
        ours = Ours(batch, options.seed)
        ours("train", options.trained)
        weights = ours.weights()
        workers: dict[str, Worker] = {"gfncore": ours, "torchgfn": TorchGFN(batch, weights)}
        with tempfile.TemporaryDirectory() as folder:
            peer = None
            if options.gfnx:
                start = Path(folder) / "weights.npz"
                np.savez(start, **weights)  # pyright: ignore[reportArgumentType]
                workers["gfnx"] = peer = Gfnx(options.gfnx, batch, start)
            table += rows(batch, measured(workers, options.rounds, options.iterations))
            if peer is not None:
                peer.close()
    given = list(arguments) if arguments is not None else sys.argv[1:]
    print(measured_on(["python", "-m", "benchmarks.gfncore.hypergrid_speed", *given]))
    head = ["program", "batch", "steps of a trajectory", "iterations a second", "gfncore over it"]
    print(markdown_table([*head, "states a second", "states a second, drawing alone"], table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
