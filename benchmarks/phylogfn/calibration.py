"""Simulation-based calibration of `phylogfn sample`: does 95 % mean 95 %?

Usage, from the checkout::

    python -m benchmarks.phylogfn.calibration --replicates 200 --budget 40s --processes 2
    python -m benchmarks.phylogfn.calibration --quick

Each replicate draws a topology, branch lengths and parameters from their priors, simulates an
alignment, and samples its posterior. Over replicates the rank of each true value among the draws is
uniform, 95 % intervals cover it in 95 % of the replicates, clades of probability p are true in a
share p of the cases, and the difference of two independent runs in their stated errors is standard
normal (Talts et al. 2018, arXiv:1804.06788). Failed runs count, and are listed.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.stats import binomtest, kstest

from benchmarks.machine import markdown_table, measured_on
from benchmarks.phylogfn.simulated import in_processes, simulated_alignment
from phylogfn import sample
from phylogfn.models import ModelSpec, parse_model
from phylogfn.results.posterior import Posterior
from phylogfn.trees.tree import Tree, splits, topology_key

__all__ = ["Replicate", "draw_theta", "judge", "main", "simulated", "table"]

RATE = 10.0  # of the prior on branch lengths


@dataclass
class Replicate:
    """What one alignment says.

    Attributes
    ----------
    ranks : dict of str to float
        Share of the draws below the true value of each parameter.
    topology_rank : float
        Probability of the topologies that are more probable than the true one, and a random share
        of its own.
    clades : list of (float, bool)
        Probability of each clade, and whether it is true.
    z : float
        Difference of the log evidences of the two runs in standard errors; NaN if undefined.
    verdict : str
    """

    ranks: dict[str, float] = field(default_factory=dict)
    topology_rank: float = math.nan
    clades: list[tuple[float, bool]] = field(default_factory=list)
    z: float = math.nan
    verdict: str = ""


def draw_theta(spec: ModelSpec, rng: np.random.Generator) -> np.ndarray:
    """Draw the free parameters of a model (theta) from MrBayes' default priors."""
    pieces = []
    for parameter in spec.parameters:
        family, arguments = parameter.prior.family, parameter.prior.arguments
        if family == "dirichlet":
            value = rng.dirichlet(np.full(len(parameter.start), arguments[0]))
        elif family == "exp":
            value = np.array([rng.exponential(1.0 / arguments[0])])
        elif family == "uniform":
            value = np.array([rng.uniform(arguments[0], arguments[1])])
        else:
            raise ValueError(f"a prior of family {family} is not drawn from here")
        pieces.append(parameter.to_unconstrained(value))
    return np.concatenate(pieces) if pieces else np.zeros(0)


def simulated(
    model: str, n_taxa: int, n_sites: int, rng: np.random.Generator
) -> tuple[str, Tree, dict[str, float]]:
    """Return an alignment (FASTA) drawn from the prior, its tree, and its true parameters."""
    spec = parse_model(model, "dna")
    theta = draw_theta(spec, rng)
    text, tree = simulated_alignment(spec.build(theta), n_taxa, n_sites, 1.0 / RATE, rng)
    return text, tree, {"TL": float(np.asarray(tree.lengths).sum()), **spec.describe(theta)}


def judge(
    posterior: Posterior, tree: Tree, values: dict[str, float], rng: np.random.Generator
) -> Replicate:
    """Compare a posterior with the truth."""
    found = Replicate(verdict=posterior.verdict)
    draws = {"TL": posterior.tree_lengths()}
    if posterior.draw_parameters is not None:
        draws |= dict(zip(posterior.parameter_names, posterior.draw_parameters.T, strict=True))
    for name, own in draws.items():
        found.ranks[name] = float((own < values[name]).mean())
    key, above = topology_key(tree), 0.0
    for index, probability in enumerate(posterior.topology_probabilities.tolist()):
        if topology_key(posterior.topology(index)) == key:
            found.topology_rank = above + rng.random() * probability
            break
        above += probability
    else:
        found.topology_rank = 1.0
    true = {frozenset(_taxa(split, tree.n_taxa)) for split in splits(tree)}
    clades = posterior.clades()
    clades = clades[(clades["n_taxa"] > 1) & (clades["n_taxa"] < tree.n_taxa - 1)]
    for taxa, probability in zip(clades["taxa"], clades["probability"], strict=True):
        side = frozenset(int(name[1:]) for name in taxa)
        other = frozenset(range(tree.n_taxa)) - side
        found.clades.append((float(probability), side in true or other in true))
    if len(posterior.runs) == 2:
        first, second = posterior.runs
        error = math.hypot(first.log_evidence_se, second.log_evidence_se)
        found.z = (first.log_evidence - second.log_evidence) / error if error > 0.0 else math.nan
    return found


def _taxa(split: int, n_taxa: int) -> list[int]:
    return [i for i in range(n_taxa) if split >> i & 1]


def table(replicates: Sequence[Replicate]) -> list[list[str]]:
    """Return rows: quantity, covered by the 95 % interval, p-value of uniform ranks."""
    rows = []
    n = len(replicates)
    for name in replicates[0].ranks:
        ranks = np.array([found.ranks[name] for found in replicates])
        covered = int(((ranks > 0.025) & (ranks < 0.975)).sum())
        rows.append([name, _share(covered, n), f"{kstest(ranks, 'uniform').pvalue:.2f}"])
    ranks = np.array([found.topology_rank for found in replicates])
    uniform = f"{kstest(ranks, 'uniform').pvalue:.2f}"
    rows.append(["topology", _share(int((ranks < 0.95).sum()), n), uniform])
    clades = [clade for found in replicates for clade in found.clades if clade[0] > 0.5]
    # of all clades together as many are true as expected, whatever their probabilities: a tree has
    # n - 3 of them
    if clades:
        p, true = np.array(clades).T
        excess = float((true - p).sum()) / math.sqrt(max(float((p * (1.0 - p)).sum()), 1e-9))
        name = "clades above one half: true minus expected, in standard deviations"
        rows.append([name, f"{excess:+.2f}", ""])
    z = np.array([found.z for found in replicates if math.isfinite(found.z)])
    if len(z) > 1:
        normal = f"{kstest(z, 'norm').pvalue:.2f}"
        rows.append([f"difference of two runs in errors: sd of {len(z)}", f"{z.std():.2f}", normal])
    for verdict in sorted({found.verdict for found in replicates}):
        number = sum(found.verdict == verdict for found in replicates)
        rows.append([f"verdict {verdict}", f"{number} of {n}", ""])
    return rows


def _share(covered: int, n: int) -> str:
    low, high = binomtest(covered, n).proportion_ci()
    return f"{covered / n:.1%} ({low:.0%} to {high:.0%})"


def replicate(task: tuple[argparse.Namespace, int]) -> Replicate:
    """Simulate one alignment, sample its posterior, and compare."""
    options, number = task
    rng = np.random.default_rng([options.seed, number])
    text, tree, values = simulated(options.model, options.taxa, options.sites, rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simulated.fasta"
        path.write_text(text, encoding="utf-8")
        posterior = sample(
            path,
            model=options.model,
            branch_prior=f"exp:{RATE:g}",
            budget=options.budget,
            seed=number + 1,
            threads=options.threads,
            runs=2,
        )
    return judge(posterior, tree, values, rng)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="GTR+G4")
    parser.add_argument("--taxa", type=int, default=8)
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--budget", default="40s", help="of each replicate, two runs")
    parser.add_argument("--processes", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1, help="of each run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="two replicates of five taxa")
    options = parser.parse_args(arguments)
    if options.quick:
        options.replicates, options.taxa, options.sites, options.budget = 2, 5, 100, "20s"
    command = ["python", "-m", "benchmarks.phylogfn.calibration", *(arguments or sys.argv[1:])]
    print(measured_on(command), flush=True)
    replicates = []
    tasks = [(options, number) for number in range(options.replicates)]
    for found in in_processes(replicate, tasks, options.processes):
        replicates.append(found)
        done = f"{len(replicates)} of {options.replicates}"
        print(f"{done}: {found.verdict}, z {found.z:.2f}", file=sys.stderr, flush=True)
    header = ["quantity", "in the 95 % interval", "ranks uniform (p)"]
    print(markdown_table(header, table(replicates)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
