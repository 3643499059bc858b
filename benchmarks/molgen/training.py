"""Speed of training on fragments: trajectories a second, and the share of time by part.

Usage, from the checkout, with molgen installed::

    python -m benchmarks.molgen.training --seconds 20 --rounds 5
    python -m benchmarks.molgen.training --quick

Molecules of the default vocabulary and limits, QED, trajectory balance, with the network, the
threads and the workers of the score that `molgen sample` has. Two mixes, each from an untrained
network on: 64 trajectories a step drawn by the policy and none from replay, and what the program
does, 64 drawn and 64 from replay. "Policy" is scoring and learning, the walks backward count as
"other". Nothing is written.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import markdown_table, measured_on
from benchmarks.phylogfn.likelihood import spread
from gfncore.program.progress import Progress
from gfncore.training.trainer import Trainer
from molgen.runs.sample.effort import SampleEffort
from molgen.runs.sample.run import SampleRun
from molgen.runs.sample.train import start_log_z
from molgen.scoring import Scoring
from molgen.settings import SampleSettings

__all__ = ["PARTS", "Round", "main", "measure", "new_trainer"]

PARTS = ("sampling", "policy", "reward", "other")
WARM_UP = 5  # steps that are not timed: compiled code is loaded, workers start


@dataclass(frozen=True)
class Round:
    """What was done in one stretch of time.

    Attributes
    ----------
    seconds : float
        Wall-clock time.
    steps : int
        Optimiser steps.
    trajectories : int
        That were trained on.
    scored : int
        Molecules that were new to the score.
    parts : dict of str to float
        Seconds by `PARTS`; their sum is ``seconds``.
    """

    seconds: float
    steps: int
    trajectories: int
    scored: int
    parts: dict[str, float]


@contextmanager
def new_trainer(
    *, replayed: bool, threads: int = 2, seed: int = 1, **settings: Any
) -> Iterator[tuple[Trainer, Scoring]]:
    """The trainer of a run of `molgen sample` on QED, with its score; both end with the context.

    Parameters
    ----------
    replayed : bool
        Whether trajectories come from replay, too, as in a run.
    threads : int
        Threads of the network, and workers of the score.
    seed : int
    **settings
        Of `SampleSettings`, in the place of the defaults.
    """
    torch.set_num_threads(1)  # as a run does: threads share chunks of a batch
    with (
        tempfile.TemporaryDirectory(prefix="training-") as scratch,
        Progress("molgen", quiet=True) as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        given = SampleSettings(
            output=Path(scratch), reward="qed", seed=seed, threads=threads, device="cpu", **settings
        )
        # the program's own, so that what is timed is what users run
        run = SampleRun(given, progress, pool)
        try:
            start_log_z(run)
            trainer = run.trainer
            if not replayed:
                trainer.replay, trainer.settings = None, replace(trainer.settings, replay=0)
            yield trainer, run.scoring
        finally:
            run.scoring.close()


def measure(replayed: bool, threads: int, seconds: float, rounds: int) -> list[Round]:
    """Train for some seconds of all rounds together."""
    with new_trainer(replayed=replayed, threads=threads, objective="trajectory_balance") as (
        trainer,
        scoring,
    ):
        for _ in range(WARM_UP):
            trainer.step()
        return [_round(trainer, scoring, seconds / rounds) for _ in range(rounds)]


def _round(trainer: Trainer, scoring: Scoring, seconds: float) -> Round:
    before, calls, steps = dict(trainer.seconds_by_part), scoring.calls, 0
    began = time.perf_counter()
    while not steps or time.perf_counter() - began < seconds:
        trainer.step()
        steps += 1
    wall = time.perf_counter() - began
    parts = {part: trainer.seconds_by_part[part] - before[part] for part in PARTS}
    parts["other"] += wall - sum(parts.values())
    drawn = trainer.settings.on_policy + SampleEffort().walkers
    trajectories = steps * (drawn + trainer.settings.replay)
    return Round(wall, steps, trajectories, scoring.calls - calls, parts)


def row(name: str, rounds: Sequence[Round]) -> list[str]:
    """One line of the table."""

    def a_second(attribute: str, digits: int = 0) -> str:
        return spread([getattr(one, attribute) / one.seconds for one in rounds], digits)

    shares = [
        f"{100 * statistics.median(one.parts[part] / one.seconds for one in rounds):.0f} %"
        for part in PARTS
    ]
    return [name, a_second("trajectories"), a_second("scored"), a_second("steps", 2), *shares]


def arguments() -> argparse.ArgumentParser:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.molgen.training", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of training, for each mix")
    parser.add_argument("--rounds", type=int, default=5, help="that the seconds are cut into")
    parser.add_argument("--threads", type=int, default=2, help="and workers of the score")
    parser.add_argument("--quick", action="store_true", help="two rounds of half a second")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Train for some seconds and print a Markdown block."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = arguments()
    options = parser.parse_args(words)
    if options.quick:
        options.seconds, options.rounds = 1.0, 2
    if options.seconds <= 0 or options.rounds < 1 or options.threads < 1:
        parser.error("--seconds must be above zero, --rounds and --threads at least 1")
    effort = SampleEffort()
    mixes = {
        f"{effort.on_policy} drawn, {effort.walkers} of walkers": False,
        f"{effort.on_policy} drawn, {effort.walkers} of walkers, {effort.replayed} replayed": True,
    }
    rows = [
        row(name, measure(replayed, options.threads, options.seconds, options.rounds))
        for name, replayed in mixes.items()
    ]
    print(measured_on(["python", "-m", "benchmarks.molgen.training", *words]))
    header = ["a step", "trajectories a second", "molecules scored a second", "steps a second"]
    print(markdown_table([*header, *PARTS], rows))
    print(f"\nMedian of {options.rounds} rounds (lowest-highest); shares of time are medians.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
