"""How many trajectories a second do two processes train on, over one?

Usage, from the checkout::

    python -m benchmarks.gfncore.distributed
    python -m benchmarks.gfncore.distributed --quick

Trajectory balance on sequences of 96 bits, written in words of 4 in any order, by a perceptron with
two hidden layers of 256 units. Each process draws the same number of trajectories a step and has a
core and a thread of its own; two exchange them, and their gradients, over gloo
(`gfncore.training.distributed`). Rounds of one and of two processes take turns. Seconds are those
of the clock: other work on these cores makes either slower.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.machine import markdown_table, measured_on

__all__ = ["main"]

WARM_UP = 3


def train(batch: int, steps: int) -> None:
    """Train as one of the processes, or as the only one; the first prints trajectories a second."""
    import torch

    from gfncore.objectives.trajectory_balance import TrajectoryBalance
    from gfncore.spaces import BitSequences
    from gfncore.training.distributed import join_processes
    from gfncore.training.settings import TrainingSettings
    from gfncore.training.trainer import Trainer

    torch.set_num_threads(1)
    processes = join_processes([1])
    space = BitSequences(96, 4, modes=30)
    torch.manual_seed(1)
    trainer = Trainer(
        space,
        space.make_policy(256, rounds=0),
        TrajectoryBalance(),
        TrainingSettings(steps=WARM_UP + steps, on_policy=batch),
        np.random.default_rng(1),
        processes=processes,
    )
    if processes is not None and not processes.leads:
        trainer.follow()
        return
    for _ in range(WARM_UP):
        trainer.step()
    began, count = time.perf_counter(), 0
    for _ in range(steps):
        count += trainer.step()["trajectories"]
    print(json.dumps(count / (time.perf_counter() - began)))
    if processes is not None:
        processes.finish()


def started(cores: Sequence[int], batch: int, steps: int) -> float:
    """Run a process on each core, and return the trajectories a second of all together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(len(cores))}
    command = [sys.executable, "-m", "benchmarks.gfncore.distributed", "--batch", str(batch)]
    command += ["--steps", str(steps), "--core"]
    processes = [
        subprocess.Popen(
            [*command, str(core)],
            env=os.environ | place | {"RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank, core in enumerate(cores)
    ]
    printed = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError("a process ended with an error; its message is above")
    return json.loads(printed[0])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--batch", type=int, default=64, help="trajectories a step of a process")
    parser.add_argument("--steps", type=int, default=40, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of 2 steps")
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)  # of a process that it started
    options = parser.parse_args(arguments)
    if options.core is not None:
        os.sched_setaffinity(0, [options.core])
        train(options.batch, options.steps)
        return 0
    if options.quick:
        options.steps, options.rounds = 2, 1
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        parser.error("one core is available, and two processes need two")
    found = [
        [started(cores[:size], options.batch, options.steps) for size in (1, 2)]
        for _ in range(options.rounds)
    ]
    one, two = np.array(found).T
    given = list(arguments) if arguments is not None else sys.argv[1:]
    print(measured_on(["python", "-m", "benchmarks.gfncore.distributed", *given]))
    table = []
    for name, rates in (("1", one), ("2", two)):
        low, middle, high = np.quantile(rates, [0.0, 0.5, 1.0])
        ratio = np.median(rates / one)
        table.append([name, f"{middle:,.0f} ({low:,.0f} to {high:,.0f})", f"{ratio:.2f}"])
    print(markdown_table(["processes", "trajectories a second (range)", "over one"], table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
