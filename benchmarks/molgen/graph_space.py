"""The 72,296 connected graphs of up to 7 nodes of 2 types: how far n draws are from the target.

Usage, from the checkout::

    python -m benchmarks.molgen.graph_space --budget 20m
    python -m benchmarks.molgen.graph_space --nodes 5 --budget 2m

Graphs grow node by node and edge by edge (the atom environment with abstract nodes of at most
nodes - 1 neighbours), and

    R(x) = 1 + number of cliques of 4 nodes in x

so that the best graphs are the dense ones, which have the most automorphisms. The L1 error of n
draws is sum_x |count(x) / n - R(x) / Z|, from 0 to 2. Even a perfect sampler has one, which falls
as the root of n; it is drawn here as independent draws of R / Z. Beside it: the trained sampler
with merged classes, and a sampler without correction and without training error, whose error stops
at twice its total variation. "Limit" is the L1 error without sampling noise.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch

from benchmarks.machine import markdown_table, measured_on
from molgen.environments.atoms import AtomEnvironment
from molgen.molecules.graph import AtomTable, GraphStates
from molgen.runs.exact import (
    Recipe,
    Space,
    draw_molecules,
    enumerate_space,
    ideal_distribution,
    policy_distribution,
    train_policy,
)

__all__ = ["clique_counts", "graph_environment", "main"]

CLIQUE = 4


def clique_counts(states: GraphStates) -> np.ndarray:
    """Number of cliques of 4 nodes in each graph; int64 (B,)."""
    b, width = states.colour.shape
    adjacent = np.zeros((b, width, width), bool)
    row, column = np.nonzero(states.edges[:, :, 0] >= 0)
    u, v = states.edges[row, column, 0], states.edges[row, column, 1]
    adjacent[row, u, v] = adjacent[row, v, u] = True
    count = np.zeros(b, np.int64)
    for nodes in combinations(range(width), CLIQUE):
        joined = [adjacent[:, u, v] for u, v in combinations(nodes, 2)]
        count += np.logical_and.reduce(joined)
    return count


def graph_environment(nodes: int, types: int = 2) -> AtomEnvironment:
    """Connected simple graphs of up to `nodes` nodes, with the clique reward."""
    return AtomEnvironment(
        AtomTable.plain(types, max(1, nodes - 1)),
        nodes,
        score_states=lambda states: np.log1p(clique_counts(states)),
    )


def graph_names(environment: AtomEnvironment, states: GraphStates) -> list[str]:
    """A name for each graph, from its canonical key."""
    return [f"{a:016x}{b:016x}" for a, b in environment.keys(states).tolist()]


def l1(counts: np.ndarray, target: np.ndarray) -> float:
    """L1 error of the frequencies."""
    return float(np.abs(counts / counts.sum() - target).sum())


def errors(space: Space, rows: np.ndarray, sizes: Sequence[int], rng: np.random.Generator) -> list:
    """Rows of the table: n, the sampler, a perfect one, the ideal one without correction."""
    m = len(space.molecules)
    target, (uncorrected, _) = space.target, ideal_distribution(space, "none")
    out = []
    for n in sizes:
        found = l1(np.bincount(rows[:n], minlength=m), target)
        perfect = l1(rng.multinomial(n, target), target)
        biased = l1(rng.multinomial(n, uncorrected), target)
        out.append([f"{n:,}", f"{found:.4f}", f"{perfect:.4f}", f"{biased:.4f}"])
    return out


def arguments() -> argparse.ArgumentParser:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.molgen.graph_space", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--nodes", type=int, default=7)
    parser.add_argument("--types", type=int, default=2)
    parser.add_argument("--budget", default="20m", help="for training")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--draws", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Train, draw, and print a Markdown block."""
    from gfncore.text.durations import parse_duration

    words = list(sys.argv[1:] if argv is None else argv)
    options = arguments().parse_args(words)
    torch.set_num_threads(1)
    environment = graph_environment(options.nodes, options.types)
    started = time.perf_counter()
    space = enumerate_space(environment, lambda states: graph_names(environment, states))
    enumeration = time.perf_counter() - started
    recipe = Recipe(
        hidden=96, on_policy=512, replay=7680, first_share=1 / 8, steps=options.steps, check=50
    )
    trained = train_policy(
        environment,
        "merged",
        space,
        recipe,
        seconds=parse_duration(options.budget),
        seed=options.seed,
        report=lambda entry: print(entry, file=sys.stderr, flush=True),
    )
    rng = np.random.default_rng([options.seed, 1])
    started = time.perf_counter()
    rows, _ = draw_molecules(space, environment, trained.policy, options.draws, rng)
    drawing = time.perf_counter() - started
    sizes = [n for n in (1_000, 10_000, 100_000, 1_000_000, 10_000_000) if n <= options.draws]
    limit = float(np.abs(policy_distribution(space, trained.policy) - space.target).sum())
    uncorrected, _ = ideal_distribution(space, "none")
    bias = float(np.abs(uncorrected - space.target).sum())
    print(measured_on(["python", "-m", "benchmarks.molgen.graph_space", *words]))
    print(
        f"{len(space.molecules):,} graphs in {space.n_states:,} states, enumerated in "
        f"{enumeration:.0f} s; {trained.steps:,} steps ({trained.trajectories:,} trajectories) in "
        f"{trained.seconds:.0f} s, {options.draws:,} draws in {drawing:.0f} s.\n"
    )
    table = errors(space, rows, sizes, rng)
    table.append(["limit", f"{limit:.4f}", "0", f"{bias:.4f}"])
    header = ["draws", "trained, merged", "perfect sampler", "no correction, no training error"]
    print(markdown_table(header, table))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
