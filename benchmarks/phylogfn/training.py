"""Speed of training: trajectories a second on the policy's own draws, and where the time goes.

Usage, from the checkout, with `phylogfn` installed::

    python -m benchmarks.phylogfn.training DS1.fasta --budget 60s --seconds 30
    python -m benchmarks.phylogfn.training --run OUT --seconds 30

The first form runs `phylogfn sample` for the budget, as its own process; the second takes the
output directory of such a run as it is. The sampler is then trained on from the run's checkpoint,
in memory, on all threads and with nothing beside it, for some seconds. Unlike in a run, every step
has draws of the policy's own. A step then is `TRAJECTORIES_A_STEP` trajectories drawn and as many
to known topologies, both by trajectory balance, and up to `STATES_A_STEP` distinct prefixes of
the trie by cross-entropy. As in a run, the trie is built anew every `cycle_steps` steps, which
counts as "other". The output directory is only read.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import markdown_table, measured_on
from benchmarks.phylogfn.durations import parse_duration
from benchmarks.phylogfn.evidence import program
from benchmarks.phylogfn.likelihood import spread
from gfncore.errors import UserError
from gfncore.program.progress import Progress
from gfncore.training.trainer import Trainer
from gfncore.trajectories.batch import StateTargets
from phylogfn.environments.base import TreeEnvironment
from phylogfn.likelihood.collapsed import CollapsedReward
from phylogfn.runs.sample.effort import SampleEffort
from phylogfn.runs.sample.main import open_run
from phylogfn.runs.sample.state import RunState
from phylogfn.samplers.registry import make_sampler
from phylogfn.samplers.topologies import TopologySampler
from phylogfn.settings import resolve_settings
from phylogfn.training.curricula import TRAJECTORIES_A_STEP, Curriculum

__all__ = ["PARTS", "Round", "main", "measure"]

PARTS = ("sampling", "policy", "reward", "other")
WARM_UP = 3  # steps that are not timed
PUBLISHED = (
    "Beside it, quoted and not measured here: the published PhyloGFN code, its released "
    "configuration, trains 8 trajectories a second on DS1 (27 taxa), on two CPU cores of the same "
    "kind."
)


@dataclass(frozen=True)
class Round:
    """What was done in one stretch of time.

    Attributes
    ----------
    seconds : float
        Wall-clock time.
    steps : int
        Optimiser steps.
    drawn, trajectories : int
        Trajectories drawn by the policy, and all that were trained on.
    states : int
        States that the trajectories pass, each as often as it is passed, and those with known
        targets.
    evaluations : int
        Of the likelihood of a whole tree.
    parts : dict of str to float
        Seconds by `PARTS`; their sum is ``seconds``.
    """

    seconds: float
    steps: int
    drawn: int
    trajectories: int
    states: int
    evaluations: int
    parts: dict[str, float]


class _Counting:
    """A curriculum that counts the states with known targets that it teaches."""

    def __init__(self, curriculum: Curriculum):
        self.curriculum = curriculum
        self.taught = 0
        states = curriculum.states

        def counted(generator: np.random.Generator) -> StateTargets:
            targets = states(generator)
            self.taught += len(targets.states)
            return targets

        curriculum.states = counted  # pyright: ignore[reportAttributeAccessIssue]


def measure(output: Path, seconds: float, rounds: int) -> tuple[list[Round], str]:
    """Train the sampler of a run on for some seconds.

    Parameters
    ----------
    output : Path
        Output directory of `phylogfn sample`.
    seconds : float
        Of all rounds together.
    rounds : int

    Returns
    -------
    rounds : list of Round
    problem : str
        The run in words.

    Raises
    ------
    SystemExit
        The directory holds no run that has finished a cycle of training.
    """
    torch.set_num_threads(1)  # as a run does: threads share chunks of a batch
    try:
        with Progress("phylogfn", quiet=True) as progress:
            reward, environment, state = open_run(output, progress)
    except UserError as error:
        raise SystemExit(str(error)) from None
    if state.trainer is None or not state.cycles:
        raise SystemExit(f"{output}: the run has not finished a cycle of training")
    sampler = make_sampler(resolve_settings({"output": output, "resume": True}))
    assert isinstance(sampler, TopologySampler)  # `open_run` refuses others
    counting = _Counting(sampler.curriculum_by(environment, state.table))
    curriculum = counting.curriculum
    # what a run does between cycles: the table is not taken for the whole where it is not
    log_z = None if state.known_share > 0.9 else state.log_z
    curriculum.refresh(log_z)
    for _ in range(WARM_UP):
        curriculum.teach(state.trainer, own_draws=True)
    found = [
        _round(counting, state.trainer, reward, log_z, seconds / rounds) for _ in range(rounds)
    ]
    problem = _problem(environment, reward, state)
    reward.pool.shutdown()
    return found, problem


def _problem(environment: TreeEnvironment, reward: CollapsedReward, state: RunState) -> str:
    n_patterns = np.count_nonzero(reward.likelihood.data_arrays.weights)
    return (
        f"{environment.n_taxa} taxa, {n_patterns} patterns, {type(environment).__name__}, "
        f"{reward.threads} threads; {len(state.table):,} topologies in the table at the end"
    )


def _round(
    counting: _Counting,
    trainer: Trainer,
    reward: CollapsedReward,
    log_z: float | None,
    seconds: float,
) -> Round:
    before, evaluations = dict(trainer.seconds_by_part), reward.evaluations
    curriculum = counting.curriculum
    counting.taught = 0
    steps = 0
    began = time.perf_counter()
    while not steps or time.perf_counter() - began < seconds:
        if steps and steps % SampleEffort().collapsed.cycle_steps == 0:
            curriculum.refresh(log_z)
        curriculum.teach(trainer, own_draws=True)
        steps += 1
    wall = time.perf_counter() - began
    parts = {part: trainer.seconds_by_part[part] - before[part] for part in PARTS}
    parts["other"] += wall - sum(parts.values())
    drawn = steps * TRAJECTORIES_A_STEP
    trajectories = 2 * drawn  # as many to known topologies
    n = curriculum.environment.n_taxa
    passed = trajectories * (n - 3 if curriculum.environment.is_tree else n - 1)
    return Round(
        wall,
        steps,
        drawn,
        trajectories,
        passed + counting.taught,
        reward.evaluations - evaluations,
        parts,
    )


def tables(rounds: Sequence[Round]) -> str:
    """Two Markdown tables: what is done a second, and the share of time by part."""

    def a_second(attribute: str) -> str:
        return spread([getattr(one, attribute) / one.seconds for one in rounds], 0)

    rates = [
        ["trajectories trained", a_second("trajectories")],
        ["of them drawn by the policy", a_second("drawn")],
        ["states", a_second("states")],
        ["likelihood evaluations", a_second("evaluations")],
        ["optimiser steps", spread([one.steps / one.seconds for one in rounds], 2)],
    ]
    shares = [
        [part, f"{100 * statistics.median(one.parts[part] / one.seconds for one in rounds):.1f} %"]
        for part in PARTS
    ]
    return (
        markdown_table(["what", "a second: median of rounds (lowest-highest)"], rates)
        + "\n\n"
        + markdown_table(["part", "share of time: median of rounds"], shares)
    )


def prepare(options: argparse.Namespace, output: Path) -> None:
    """Run the program on the alignment.

    Raises
    ------
    SystemExit
        If it fails; its last lines are shown.
    """
    command = [program(), "sample", str(options.alignment), "-o", str(output)]
    command += ["--model", "JC69", "--branch-prior", "exp:10"]
    command += ["--runs", "1", "--budget", f"{options.budget:g}s", "--seed", str(options.seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join(done.stderr.splitlines()[-15:])
        raise SystemExit(f"phylogfn sample ended with {done.returncode}:\n{tail}")


def arguments() -> argparse.ArgumentParser:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.phylogfn.training", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("alignment", type=Path, nargs="?")
    parser.add_argument("--run", type=Path, help="output directory of phylogfn sample")
    parser.add_argument("--budget", type=parse_duration, default=60.0, help="of the run before")
    parser.add_argument("--seed", type=int, default=1, help="of the run before")
    parser.add_argument("--seconds", type=float, default=30.0, help="of training, timed")
    parser.add_argument("--rounds", type=int, default=5, help="that the seconds are cut into")
    parser.add_argument("--quick", action="store_true", help="two short rounds, budget 60s")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Train for some seconds and print a Markdown block."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = arguments()
    options = parser.parse_args(words)
    if (options.alignment is None) == (options.run is None):
        parser.error("give an alignment, or the output directory of a run by --run")
    if options.quick:
        # a run ends at its target accuracy, which a busy machine may reach late
        options.seconds, options.rounds, options.budget = 2.0, 2, 60.0
    if options.seconds <= 0 or options.rounds < 1:
        parser.error("--seconds must be above zero and --rounds at least 1")
    with tempfile.TemporaryDirectory(prefix="training-") as scratch:
        output = options.run or Path(scratch) / "out"
        if options.run is None:
            prepare(options, output)
        rounds, problem = measure(output, options.seconds, options.rounds)
    shown = [Path(word).name if os.sep in word else word for word in words]
    print(measured_on(["python", "-m", "benchmarks.phylogfn.training", *shown]))
    print(f"{problem}.\n")
    print(tables(rounds))
    print(
        "\nStates: those that trajectories pass, each as often as it is passed, and prefixes of "
        "the trie.\nTrajectories of a step that pass the same state share its evaluation by the "
        "network, so that\nthe rates depend on how concentrated the posterior is.\n" + PUBLISHED
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
