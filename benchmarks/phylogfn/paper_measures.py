"""The measures of the PhyloGFN paper (Zhou et al., ICLR 2024), on a finished run of ours.

    python -m benchmarks.phylogfn.paper_measures OUT [OUT ...] [--weights 1024] [--repeats 10]

* Log evidence as the log of the mean of K importance weights, repeated: its mean and standard
  deviation over the repetitions. No topology is summed exactly here, and branch lengths are
  collapsed by the closed form, so that the weights are R(topology) / q(topology); the correction of
  the closed form, from the run's summary, is added.
* Pearson correlation of log q with log R over topologies that are drawn by the policy with a share
  of uniformly random actions: 0, 30 and 50 %; one that is drawn twice counts twice. The policy
  is the one that was learned, without the share of unlikely choices that defends importance draws.
  Where a topology has many histories, q is an average over them. Runs with ``--random-trees`` have
  learned from such topologies.

The published values on DS1, quoted: log evidence -7108.95 (.06), correlations .994, .960, .958.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.special import logsumexp

from benchmarks.machine import markdown_table, measured_on
from gfncore.evaluation.object_probability import log_object_probabilities
from gfncore.exploration import sample_trajectories
from gfncore.program.progress import Progress
from phylogfn.estimates.collapsed import draw
from phylogfn.runs.sample.main import open_run

__all__ = ["Measures", "main", "measure"]

RANDOM = (0.0, 0.3, 0.5)  # shares of random actions
PATHS = 64  # histories of a topology that its probability is averaged over
BATCH = 250


@dataclass(frozen=True)
class Measures:
    """What was measured on one run.

    Attributes
    ----------
    log_evidence, deviation : float
        Mean and standard deviation over the repetitions, nats.
    correlations : tuple of float
        Pearson's r for each of `RANDOM`.
    topologies : tuple of int
        Distinct topologies behind each.
    """

    log_evidence: float
    deviation: float
    correlations: tuple[float, ...]
    topologies: tuple[int, ...]


def measure(output: Path, weights: int, repeats: int, trees: int, seed: int) -> Measures:
    """Draw from the sampler of a run and measure.

    Parameters
    ----------
    output : Path
        Directory of `phylogfn sample`.
    weights, repeats : int
        K, and how often.
    trees : int
        Drawn for each correlation.
    seed : int
    """
    torch.set_num_threads(1)
    with Progress("paper_measures", quiet=True) as progress:
        reward, environment, state = open_run(output, progress)
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    assert state.trainer is not None
    policy = state.trainer.averaged.policy
    prior, table = reward.log_topology_prior, state.table
    rng = np.random.default_rng(seed)
    drawn = draw(environment, policy, reward, table, weights * repeats, rng)
    log_weights = (table.log_evidence[drawn.rows] + prior - drawn.log_q).reshape(repeats, weights)
    estimates = logsumexp(log_weights, axis=1) - np.log(weights)
    estimates += summary["extra"]["branch_length_correction"]
    policy.defence = 0.0  # the correlations are of the policy as it was learned
    correlations, topologies = [], []
    for share in RANDOM:
        drawn_rows = []
        for _ in range(0, trees, BATCH):
            paths = sample_trajectories(environment, policy, BATCH, rng, epsilon=share)
            found = table.look_up(reward, environment.trees(paths.terminals))
            drawn_rows.append(found)
        rows, own = np.unique(np.concatenate(drawn_rows), return_inverse=True)
        log_q = np.empty(len(rows))
        for start in range(0, len(rows), BATCH):
            part = slice(start, start + BATCH)
            terminals = environment.terminals(table.parents[rows[part]])
            log_q[part] = log_object_probabilities(environment, policy, terminals, PATHS, rng)
        r = np.corrcoef(log_q[own], table.log_evidence[rows][own])[0, 1]
        correlations.append(float(r))
        topologies.append(len(rows))
    reward.pool.shutdown()
    return Measures(
        float(estimates.mean()),
        float(estimates.std(ddof=1)),
        tuple(correlations),
        tuple(topologies),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print a Markdown block."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.phylogfn.paper_measures",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument("output", type=Path, nargs="+", help="directories of phylogfn sample")
    parser.add_argument("--weights", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--trees", type=int, default=1000, help="drawn for each correlation")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(words)
    shown = [Path(word).name if "/" in word else word for word in words]
    print(measured_on(["python", "-m", "benchmarks.phylogfn.paper_measures", *shown]))
    rows = []
    for output in options.output:
        found = measure(output, options.weights, options.repeats, options.trees, options.seed)
        pairs = zip(found.correlations, found.topologies, strict=True)
        rows.append(
            [
                output.name,
                f"{found.log_evidence:.3f} ({found.deviation:.3f})",
                *(f"{r:.3f} ({n:,})" for r, n in pairs),
            ]
        )
    header = ["run", f"log evidence, K = {options.weights}, {options.repeats} times (sd)"]
    header += [f"r, {share:.0%} random (topologies)" for share in RANDOM]
    print(markdown_table(header, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
