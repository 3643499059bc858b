"""A conditional clade distribution fitted to the same walk in the same time: the other control.

Usage, from the checkout::

    python -m benchmarks.phylogfn.ccd_control DS5.fasta --budget 5m --seeds 1 2 3 \\
        --reference-log-evidence -8214.4

The walk is that of `phylogfn sample` (`phylogfn.exploration.walks.Walkers`). After
`--walk-share` of the budget, CCD1 is fitted to what it found and takes the
place of the network: for the rest of the time topologies are drawn from it,
and each draw is weighted by its reward, made unbiased by importance draws of
branch lengths, over its exact probability. So everything but the network is
the same as in the program.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.machine import markdown_table, measured_on
from benchmarks.phylogfn.conditional_clades import ConditionalClades, fit_conditional_clades
from benchmarks.phylogfn.durations import parse_duration
from benchmarks.phylogfn.reference import (
    Reference,
    Topology,
    add_reference_options,
    compare_to_reference,
    read_reference,
    tree_kl,
)
from benchmarks.phylogfn.topology_arrays import keys_of_parents, parents_of_key
from gfncore.evaluation import WeightedDraws, effective_sample_size
from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.patterns import compress
from phylogfn.exploration.starting_trees import overdispersed_starts
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.exploration.walks import N_REPLICAS, Walkers
from phylogfn.likelihood.branch_prior import ExponentialPrior
from phylogfn.likelihood.collapsed import CollapsedReward
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model

__all__ = ["ControlRun", "main", "run_control"]

BATCH = 200  # topologies drawn at a time


@dataclass(frozen=True)
class ControlRun:
    """What one run of the control left.

    Attributes
    ----------
    names : tuple of str
        Taxa.
    table : TopologyTable
        All topologies that were evaluated, by the walk and by the draws.
    distribution : ConditionalClades
        Fitted to the walk.
    log_weights : ndarray, shape (D,)
        Log of unbiased reward over probability, of independent draws, nats.
    log_closed_weights : ndarray, shape (D,)
        The same with the closed form of the reward, as `phylogfn sample` counts effective draws.
    walk_seconds, wall_seconds : float
        Time of the walk, and in all.
    """

    names: tuple[str, ...]
    table: TopologyTable
    distribution: ConditionalClades
    log_weights: np.ndarray
    log_closed_weights: np.ndarray
    walk_seconds: float
    wall_seconds: float


def fit_to_walk(table: TopologyTable, how: str) -> ConditionalClades:
    """CCD1 of the walk's topologies, weighted by visits or by their collapsed reward."""
    if how == "visits":
        return fit_conditional_clades(table.parents, table.visits.astype(float))
    weights = np.exp(table.log_evidence - table.log_evidence.max())
    return fit_conditional_clades(table.parents, weights)


def run_control(options: argparse.Namespace, seed: int) -> ControlRun:
    """Walk, fit, draw and weight within the budget."""
    began = time.perf_counter()
    rng = np.random.default_rng(seed)
    alignment = read_alignment(str(options.alignment))
    patterns = compress(alignment)
    model = parse_model("JC69", alignment.alphabet).build(np.zeros(0))
    prior, threads = ExponentialPrior(options.branch_rate), len(os.sched_getaffinity(0))
    reward = CollapsedReward(TreeLikelihood(patterns, model), prior, threads)
    table = TopologyTable(len(alignment.names))
    starts = overdispersed_starts(patterns, N_REPLICAS, rng)
    walkers = Walkers.start(reward, table, starts, rng)
    walk_seconds = options.walk_share * options.budget
    while (now := time.perf_counter() - began) < walk_seconds:
        walkers.absorb(walkers.run(1), table, count_visits=now > 0.5 * walk_seconds)
    walked = time.perf_counter() - began
    distribution = fit_to_walk(table, options.fit)
    log_weights, log_closed = [], []
    while not log_weights or time.perf_counter() - began < options.budget:
        parents, log_q = distribution.sample(BATCH, rng)
        rows = table.look_up(reward, parents)
        distinct, inverse = np.unique(rows, return_inverse=True)
        fit = reward.closed_form(table.parents[distinct], table.lengths[distinct])
        # every draw has length draws of its own, so that weights are independent
        each = type(fit)(*(getattr(fit, name)[inverse] for name in fit.__dataclass_fields__))
        draws = reward.draw_lengths(
            table.parents[rows], each, options.length_draws, int(rng.integers(2**31))
        )
        log_reward = np.logaddexp.reduce(draws.log_weights, axis=1) - math.log(options.length_draws)
        log_weights.append(log_reward + reward.log_topology_prior - log_q)
        log_closed.append(table.log_evidence[rows] + reward.log_topology_prior - log_q)
    return ControlRun(
        alignment.names,
        table,
        distribution,
        np.concatenate(log_weights),
        np.concatenate(log_closed),
        walked,
        time.perf_counter() - began,
    )


def posterior_of_table(table: TopologyTable) -> dict[Topology, float]:
    """Closed forms of all evaluated topologies, normalised, those within 20 nats of the best."""
    log_evidence = table.log_evidence - table.log_evidence.max()
    best = np.flatnonzero(log_evidence > -20.0)
    weights = np.exp(log_evidence[best])
    keys = keys_of_parents(table.parents[best])
    return dict(zip(keys, (weights / weights.sum()).tolist(), strict=True))


def reference_cells(run: ControlRun, reference: Reference) -> list[str]:
    """Tree-KL of the evaluated topologies, KL of the CCD itself, and what its support lacks."""
    distance = compare_to_reference(reference.probabilities, posterior_of_table(run.table))
    n_taxa = len(run.names)
    parents = np.stack([parents_of_key(key, n_taxa) for key in reference.probabilities])
    log_density = run.distribution.log_density(parents)
    log_q = dict(zip(reference.probabilities, log_density.tolist(), strict=True))
    kept = {key: p for key, p in reference.probabilities.items() if log_q[key] > -math.inf}
    missed = max(1.0 - math.fsum(kept.values()), 0.0)
    return [f"{distance.kl:.4f}", f"{tree_kl(kept, log_q):.3f}", f"{missed:.5f}"]


def share_of_blocks(log_weights: np.ndarray, size: int) -> float:
    """Median effective share, in per cent, of blocks of `size` draws; heavy tails need the size."""
    n_blocks = len(log_weights) // size
    if n_blocks == 0:
        return math.nan
    blocks = log_weights[: n_blocks * size].reshape(n_blocks, size)
    return 100 * float(np.median([effective_sample_size(block) for block in blocks])) / size


def row_of(run: ControlRun, seed: int, options: argparse.Namespace) -> list[str]:
    """Cells of one run's row."""
    estimate = WeightedDraws(run.log_weights).estimate()
    log_evidence, n_draws, ess = estimate.log_z, estimate.n_draws, estimate.ess
    known = options.reference_log_evidence
    cells = [
        str(seed),
        f"{log_evidence:.3f}",
        f"{estimate.standard_error:.4f}",
        "" if known is None else f"{log_evidence - known:+.3f}",
        f"{ess:.0f} of {n_draws} ({100 * ess / n_draws:.1f} %)",
        f"{share_of_blocks(run.log_closed_weights, options.block):.1f} %",
        f"{estimate.pareto_k:.2f}",
        f"{len(run.table):,}",
        f"{run.walk_seconds:.0f} of {run.wall_seconds:.0f}",
    ]
    if options.reference is None:
        return [*cells, "", "", ""]
    taxon = {name: number for number, name in enumerate(run.names)}
    return cells + reference_cells(run, read_reference(options.reference, taxon))


HEADER = [
    "seed",
    "log evidence",
    "standard error",
    "error",
    "effective draws",
    "of blocks",
    "k-hat",
    "topologies evaluated",
    "wall s (walk of all)",
    "Tree-KL of evaluated",
    "KL of the CCD on its support",
    "reference mass off its support",
]


def arguments() -> argparse.ArgumentParser:
    """Command line of the control."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phylogfn.ccd_control")
    parser.add_argument("alignment", type=Path)
    parser.add_argument("--budget", type=parse_duration, default=300.0, help="such as 5m or 90s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--branch-rate", type=float, default=10.0)
    parser.add_argument("--walk-share", type=float, default=0.6, help="of the budget")
    parser.add_argument("--length-draws", type=int, default=20, help="a topology drawn")
    parser.add_argument(
        "--fit",
        choices=["reward", "visits"],
        default="reward",
        help="weights of what the walk found: collapsed reward, or visits in its second half",
    )
    parser.add_argument(
        "--block",
        type=int,
        default=20_000,
        help="draws of a block: the median share of blocks is compared with a run of as many draws",
    )
    add_reference_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the control for each seed and print a Markdown block."""
    options = arguments().parse_args(argv)
    print(measured_on(["python", "-m", "benchmarks.phylogfn.ccd_control", *sys.argv[1:]]))
    rows = [row_of(run_control(options, seed), seed, options) for seed in options.seeds]
    print(markdown_table(HEADER, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
