"""Objectives, backward policies and exploration on small spaces, held against exact distributions.

Usage, from the checkout::

    python -m benchmarks.gfncore.leaderboard --folder build/leaderboard --seeds 1 2 3
    python -m benchmarks.gfncore.leaderboard --spaces hypergrid bags --objectives detailed_balance
    python -m benchmarks.gfncore.leaderboard --quick

Every trial is one line of ``trials.jsonl`` in the folder, and a trial whose line is there is not
made again, so a run that was stopped goes on. The table has the median and the range over seeds of
the total variation between the exact distribution of the trained sampler and the target, of the
error of log Z (as learned, or by importance draws where none is learned), the share of the target
in objects that training has drawn, the number of rewards asked for, and the seconds of training.

All methods have the same network, number of steps and batch; none is tuned for a space.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import commit, markdown_table, measured_on
from gfncore.backward.registry import BACKWARD_POLICIES
from gfncore.environment import Environment
from gfncore.errors import UserError
from gfncore.spaces import Bags, BitSequences, Hypergrid, VectorSpace
from gfncore.trials import TRIAL_OBJECTIVES, MethodSettings, run_trial

__all__ = ["SPACES", "Method", "main", "table"]

EXPLORATIONS: dict[str, dict[str, Any]] = {
    "policy": {"epsilon": 0.0},
    "uniform 5 %": {"epsilon": 0.05},
    "replay": {"epsilon": 0.05, "replay": 64},
    "walkers": {"epsilon": 0.05, "walkers": 64},
    "parallel tempering": {
        "epsilon": 0.05,
        "walkers": 64,
        "walker_levels": (1.0, 0.7, 0.45, 0.25),
    },
}


def with_qed(make: Callable[[Any], Environment]) -> tuple[Environment, Callable[..., Any]]:
    """Return molecules with the reward QED, and their policy."""
    from rdkit import Chem
    from rdkit.Chem import QED

    from molgen.policy import make_policy

    known: dict[str, float] = {}

    def score(smiles: Sequence[str]) -> np.ndarray:
        for name in smiles:
            if name not in known:
                known[name] = math.log(QED.qed(Chem.MolFromSmiles(name)))
        return np.array([known[name] for name in smiles])

    space: Any = make(score)

    def policy(flow: bool, backward: bool) -> Any:
        seed = int(torch.randint(2**31, ()).item())
        return make_policy(space, seed=seed, flow=flow, backward=backward)

    return space, policy


def molecules() -> tuple[Environment, Callable[..., Any]]:
    """Return molecules of up to four atoms of C, N and O, by QED, and their policy."""
    from molgen.environments.atoms import AtomEnvironment
    from molgen.molecules.graph import AtomTable

    return with_qed(lambda score: AtomEnvironment(AtomTable.of(["C", "N", "O"]), 4, score))


def fragments() -> tuple[Environment, Callable[..., Any]]:
    """Return molecules of up to three of five fragments, by QED, and their policy."""
    from molgen.environments.fragments import FragmentEnvironment
    from molgen.fragments.vocabulary import Vocabulary

    pieces = ["[*]c1ccc([*])cc1", "[*]C([*])[*]", "[*]CC[*]", "[*]O[*]", "[*]N([*])[*]"]
    return with_qed(
        lambda score: FragmentEnvironment(
            Vocabulary.of(pieces), score, max_fragments=3, max_atoms=20
        )
    )


def vectors(make: Callable[[], VectorSpace]) -> Callable[[], tuple[Environment, Any]]:
    """Return a function that makes a space of vectors and its policy."""

    def made() -> tuple[Environment, Any]:
        space = make()
        return space, space.make_policy

    return made


SPACES: dict[str, Callable[[], tuple[Environment, Any]]] = {
    "hypergrid": vectors(lambda: Hypergrid(16)),
    "bags": vectors(lambda: Bags(8, 5)),
    "bits": vectors(lambda: BitSequences(8, 2)),
    "molecules": molecules,
    "fragments": fragments,
}


@dataclass(frozen=True)
class Method:
    """A row of the table: what is trained, where and how."""

    space: str
    objective: str
    backward: str
    exploration: str


def trial(method: Method, steps: int, seed: int) -> dict[str, Any]:
    """Return the figures of one trial, or under ``reason`` why there is none."""
    space, make_policy = SPACES[method.space]()
    try:
        settings = MethodSettings(
            method.objective, method.backward, steps, **EXPLORATIONS[method.exploration]
        )
        found = run_trial(space, make_policy, settings, seed)
    except UserError as error:
        return {"reason": str(error)}
    return asdict(found) | {"log_z_error": found.log_z_error}


def median_and_range(values: Sequence[float], form: str) -> str:
    """Return the median, with the lowest and the highest if there are several."""
    text = format(statistics.median(values), form)
    if len(values) == 1:
        return text
    return f"{text} ({min(values):{form}} to {max(values):{form}})"


def table(trials: Sequence[dict[str, Any]]) -> str:
    """Return the Markdown table of trials, best first in each space."""
    groups: dict[Method, list[dict[str, Any]]] = {}
    for one in trials:
        groups.setdefault(Method(**one["method"]), []).append(one)
    rows, reasons = [], []
    for method, group in groups.items():
        done = [one for one in group if "reason" not in one]
        if not done:
            reasons.append(f"{method.space}: {group[0]['reason']}")
            continue

        def column(name: str, form: str, done: list[dict[str, Any]] = done) -> str:
            return median_and_range([one[name] for one in done], form)

        distance = statistics.median(one["total_variation"] for one in done)
        row = [method.space, method.objective, method.backward, method.exploration]
        row += [column("total_variation", ".4f"), column("log_z_error", ".4f")]
        row += [column("mass_found", ".3f"), f"{done[0]['calls']:,}", column("seconds", ".0f")]
        rows.append((list(SPACES).index(method.space), distance, row))
    head = ["space", "objective", "backward policy", "exploration", "total variation"]
    head += ["error of log Z", "target found", "calls", "seconds"]
    text = markdown_table(head, [row for _, _, row in sorted(rows)])
    notes = "".join(f"\n* {reason}" for reason in dict.fromkeys(reasons))
    return f"{text}\n{notes}" if notes else text


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the trials that are missing, and print the table of all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--spaces", nargs="+", default=list(SPACES), choices=list(SPACES))
    parser.add_argument(
        "--objectives", nargs="+", default=list(TRIAL_OBJECTIVES), choices=TRIAL_OBJECTIVES
    )
    parser.add_argument(
        "--backward",
        nargs="+",
        default=list(BACKWARD_POLICIES),
        choices=list(BACKWARD_POLICIES),
    )
    parser.add_argument(
        "--exploration", nargs="+", default=["uniform 5 %"], choices=list(EXPLORATIONS)
    )
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where trials are kept")
    parser.add_argument("--quick", action="store_true", help="one space, two objectives, 50 steps")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.quick:
        options.spaces, options.steps, options.backward = ["bits"], 50, ["uniform"]
        options.objectives = ["trajectory_balance", "detailed_balance"]
    given = list(arguments) if arguments is not None else sys.argv[1:]
    print(measured_on(["python", "-m", "benchmarks.gfncore.leaderboard", *given]), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "trials.jsonl"
        trials = (
            [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        )
        known = {json.dumps([one["method"], one["steps"], one["seed"]]) for one in trials}
        methods = [
            Method(space, objective, backward, exploration)
            for space in options.spaces
            for exploration in options.exploration
            for backward in options.backward
            for objective in options.objectives
        ]
        for seed in options.seeds:
            for method in methods:
                what = {"method": asdict(method), "steps": options.steps, "seed": seed}
                if json.dumps(list(what.values())) in known:
                    continue
                one = what | {"commit": commit()} | trial(method, options.steps, seed)
                trials.append(one)
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(one) + "\n")
                print(" ".join(asdict(method).values()), seed, file=sys.stderr, flush=True)
        print(table(trials))
    return 0


if __name__ == "__main__":
    sys.exit(main())
