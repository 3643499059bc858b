"""Order-preserving training on an enumerated space: the order that is learned, and the front.

Usage, from the checkout::

    python -m benchmarks.molgen.order_preserving --max-atoms 5 --steps 600 --seeds 1 2 3
    python -m benchmarks.molgen.order_preserving --steps 1600 --parts order --temperature 0.125
    python -m benchmarks.molgen.order_preserving --max-atoms 3 --steps 100 --seeds 1

Molecules of C, N, O up to `--max-atoms` heavy atoms, all enumerated.

Order: one objective, QED. The learned reward of a molecule is, up to a constant, the probability
with which the policy draws it, which is computed exactly. Kendall's tau of it with QED over all
molecules and over the tenth with the highest QED, and how far the distribution has sharpened: its
effective number of molecules, exp(entropy), and its mass on the top tenth.

Front: two objectives that are at odds, QED and the topological polar surface area a heavy atom
(over its largest). Order-preserving training on fronts, of the batch and by ranks over a memory,
beside preference-weighted sampling: five policies, each for R = (w QED + (1 - w) other)^16 by
log-variance, each with a fifth of the steps, so that all ask for as many rewards. Each then gives
`--draws` molecules: hypervolume over that of the true front, IGD+, R2, all of the mean of 20
repeats, and the share of draws on the true front.

`--temperature` is that of all order-preserving objectives.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import QED, rdMolDescriptors
from scipy.stats import kendalltau

from benchmarks.machine import markdown_table, measured_on
from gfncore.evaluation import (
    hypervolume,
    igd_plus,
    non_dominated,
    r2_indicator,
    simplex_weights,
)
from gfncore.objectives.log_variance import LogVariance
from gfncore.objectives.order_preserving import OrderPreserving
from gfncore.policies import Policy
from gfncore.training.optimisers import Muon
from gfncore.training.replay import Replay
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from molgen.environments.atoms import AtomEnvironment
from molgen.molecules.graph import AtomTable
from molgen.policy import make_policy
from molgen.runs.exact import Space, enumerate_space, policy_distribution

__all__ = ["figures_of_merit", "front_measures", "main", "order_measures", "train"]

PREFERENCES = (0.0, 0.25, 0.5, 0.75, 1.0)
EXPONENT = 16.0
REPEATS = 20


def figures_of_merit(smiles: Sequence[str]) -> np.ndarray:
    """QED and polar surface a heavy atom, the latter over its largest; float64 (n, 2)."""
    molecules = [Chem.MolFromSmiles(s) for s in smiles]
    qed = np.array([QED.qed(m) for m in molecules])
    polar = np.array([rdMolDescriptors.CalcTPSA(m) / m.GetNumHeavyAtoms() for m in molecules])
    return np.stack([qed, polar / polar.max()], axis=1)


def train(
    environment: AtomEnvironment,
    objective: Any,
    steps: int,
    seed: int,
    watch: Callable[[int, Policy], None] | None = None,
) -> Policy:
    """Train a policy; half of each batch is drawn backward from the objects met so far."""
    settings = TrainingSettings(
        steps=steps,
        on_policy=64,
        replay=192,
        epsilon=0.2,
        learning_rate=3e-3,
        schedule="linear",
        clip_norm=10.0,
        average_decay=0.95,
    )
    trainer = Trainer(
        environment,
        make_policy(environment, hidden=96, seed=seed),
        objective,
        settings,
        np.random.default_rng(seed),
        replay=Replay(environment),
    )
    trainer.optimizer = Muon(
        [{"params": group["params"], "lr": group["lr"]} for group in trainer.optimizer.param_groups]
    )

    def look(metrics: dict[str, Any]) -> None:
        if watch is not None and metrics["step"] % max(1, steps // 4) == 0:
            watch(metrics["step"], trainer.averaged.policy)

    trainer.run(look)
    return trainer.averaged.policy


def _tau(a: np.ndarray, b: np.ndarray) -> float:
    found: Any = kendalltau(a, b)
    return float(found.statistic)


def order_measures(probability: np.ndarray, merit: np.ndarray) -> tuple[float, float, float, float]:
    """Tau over all and over the top tenth, effective number of molecules, mass of the top tenth."""
    with np.errstate(divide="ignore"):
        log_p = np.log(probability)
    top = np.argsort(-merit)[: max(2, len(merit) // 10)]
    some = probability[probability > 0]
    return (
        _tau(log_p, merit),
        _tau(log_p[top], merit[top]),
        float(np.exp(-(some * np.log(some)).sum())),
        float(probability[top].sum()),
    )


def front_measures(
    parts: Sequence[np.ndarray], merits: np.ndarray, draws: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Hypervolume share, IGD+, R2 and share on the front of draws shared by distributions."""
    on_front = non_dominated(merits)
    front, low = np.unique(merits[on_front], axis=0), np.zeros(merits.shape[1])
    best, weights = merits.max(axis=0), simplex_weights(merits.shape[1], 20)
    whole = hypervolume(front, low)
    found = []
    for _ in range(REPEATS):
        drawn = [rng.choice(len(p), size=draws // len(parts), p=p / p.sum()) for p in parts]
        rows = np.concatenate(drawn)
        points = merits[rows]
        found.append(
            (
                hypervolume(points, low) / whole,
                igd_plus(points, front),
                r2_indicator(points, best, weights),
                on_front[rows].mean(),
            )
        )
    means = np.mean(found, axis=0)
    return float(means[0]), float(means[1]), float(means[2]), float(means[3])


def one_seed(space: Space, merits: np.ndarray, options: argparse.Namespace, seed: int) -> dict:
    """All measures of a seed, by the name of what is measured."""
    value = dict(zip(space.molecules, merits, strict=True))
    found: dict[str, tuple[float, ...]] = {}

    def environment(columns: slice, score: Callable[[np.ndarray], np.ndarray]) -> AtomEnvironment:
        made = AtomEnvironment(
            AtomTable.of(["C", "N", "O"]),
            options.max_atoms,
            lambda names: score(np.array([value[name] for name in names])),
        )
        made.figures_of_merit = lambda states: np.array(
            [value[name][columns] for name in made.smiles(states)]
        )
        return made

    def watch(step: int, policy: Policy) -> None:
        found[f"order, step {step}"] = order_measures(
            policy_distribution(space, policy), merits[:, 0]
        )
        print(seed, step, found[f"order, step {step}"], file=sys.stderr, flush=True)

    if "order" in options.parts:
        qed = environment(slice(0, 1), lambda u: np.log(u[:, 0]))
        objective = OrderPreserving(temperature=options.temperature)
        train(qed, objective, options.steps, seed, watch)
    if "front" not in options.parts:
        return found
    rng = np.random.default_rng([seed, 1])
    both = environment(slice(0, 2), lambda u: np.log(u.mean(axis=1)))
    for name, memory in (("front of the batch", 0), ("ranks over a memory", 2000)):
        objective = OrderPreserving(memory, options.temperature)
        policy = train(both, objective, options.steps, seed)
        parts = [policy_distribution(space, policy)]
        found[name] = front_measures(parts, merits, options.draws, rng)
    parts = []
    for w in PREFERENCES:
        weighted = environment(
            slice(0, 2),
            lambda u, w=w: EXPONENT * np.log(np.maximum(u @ [w, 1.0 - w], 1e-3)),
        )
        policy = train(weighted, LogVariance(), options.steps // len(PREFERENCES), seed)
        parts.append(policy_distribution(space, policy))
    found["preference-weighted"] = front_measures(parts, merits, options.draws, rng)
    uniform = [np.full(len(merits), 1.0 / len(merits))]
    found["uniform over molecules"] = front_measures(uniform, merits, options.draws, rng)
    return found


def table(results: Sequence[dict[str, tuple]], order: bool, header: Sequence[str]) -> str:
    """Median over seeds of the rows that belong to the order, or to the front."""
    names = [name for name in results[0] if name.startswith("order") == order]
    rows = []
    for name in names:
        columns = zip(*[result[name] for result in results], strict=True)
        rows.append([name, *[f"{statistics.median(column):.4g}" for column in columns]])
    return markdown_table(header, rows)


def arguments() -> argparse.ArgumentParser:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.molgen.order_preserving",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("--max-atoms", type=int, default=5)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument(
        "--parts", nargs="+", choices=("order", "front"), default=["order", "front"]
    )
    parser.add_argument("--temperature", type=float, default=1.0, help="of the order")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Train by seed and print a Markdown block; medians over seeds."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = arguments().parse_args(words)
    torch.set_num_threads(1)
    space = enumerate_space(
        AtomEnvironment(
            AtomTable.of(["C", "N", "O"]), options.max_atoms, lambda names: np.zeros(len(names))
        )
    )
    merits = figures_of_merit(space.molecules)
    results = [one_seed(space, merits, options, seed) for seed in options.seeds]
    front = non_dominated(merits)
    print(measured_on(["python", "-m", "benchmarks.molgen.order_preserving", *words]))
    print(
        f"{len(merits):,} molecules, {int(front.sum())} on the front of two objectives; "
        f"{options.steps} steps of 256 trajectories; medians over {len(results)} seeds.\n"
    )
    if "order" in options.parts:
        header = ["", "tau, all", "tau, top tenth", "effective molecules", "mass of the top tenth"]
        print(table(results, True, header) + "\n")
    if "front" in options.parts:
        header = ["", "hypervolume, share", "IGD+", "R2", "draws on the front"]
        print(table(results, False, header))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
