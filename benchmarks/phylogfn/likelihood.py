"""Time of a likelihood and of all its derivatives, beside BEAGLE on the same problem.

    python -m benchmarks.phylogfn.likelihood --beagle-source beagle_bench.c

The C program times BEAGLE (CPU, SSE, double precision, one thread): `beagle_bench NTAXA NPATTERNS
REPS [NCATS]` prints microseconds an evaluation and the log-likelihood. Its problem (random tips by
the C library's rand, a queue-built tree, Jukes-Cantor, rates 0.5, 1.5, ... in NCATS categories) is
built here again, and the two log-likelihoods must agree before anything is timed. Both are then
timed in turns, so that a slow minute of the machine hurts both; the figures are medians of the
rounds' ratios, with the lowest and the highest. Both are called in a compiled loop, as the program
calls its kernels; one thread. With four categories the general kernel (any reversible model, GTR)
is timed.

Needs a C compiler and libhmsbeagle; without --beagle-source only our own times are printed.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numba import njit

from benchmarks.machine import markdown_table, measured_on
from phylogfn.alignments.patterns import SitePatterns
from phylogfn.kernels import pruning_numba as kernels
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import SubstitutionModel
from phylogfn.trees.building import tree_from_edges
from phylogfn.trees.tree import Tree

SOURCE_VARIABLE = "BEAGLE_BENCH_SOURCE"


def beagle_patterns(n_taxa: int, n_patterns: int) -> SitePatterns:
    """Tips as the C program draws them: a base for each pattern, changed in a tenth of the tips."""
    libc = ctypes.CDLL(None)
    libc.srand(1)
    base = [libc.rand() % 4 for _ in range(n_patterns)]
    states = [
        [libc.rand() % 4 if libc.rand() % 10 == 0 else base[p] for p in range(n_patterns)]
        for _ in range(n_taxa)
    ]
    masks = np.left_shift(np.uint32(1), np.array(states, dtype=np.uint32)).astype(np.uint32)
    return SitePatterns(masks, np.ones(n_patterns), np.arange(n_patterns, dtype=np.int32), 4)


def beagle_tree(n_taxa: int) -> Tree:
    """Join nodes in the order of a queue; the two branches at the root become one."""
    length = [0.02 + 0.001 * (node % 7) for node in range(2 * n_taxa - 2)]
    queue, edges, lengths = list(range(n_taxa)), [], []
    new = n_taxa
    while len(queue) > 2:
        first, second, *queue = queue
        edges += [(new, first), (new, second)]
        lengths += [length[first], length[second]]
        queue.append(new)
        new += 1
    edges.append((queue[0], queue[1]))
    lengths.append(length[queue[0]] + length[queue[1]])
    return tree_from_edges(n_taxa, edges, lengths)


def beagle_model(n_categories: int) -> SubstitutionModel:
    """Jukes-Cantor with the C program's category rates (their mean is not one)."""
    rates = 0.5 + np.arange(n_categories) if n_categories > 1 else np.ones(1)
    weights = np.full(n_categories, 1.0 / n_categories)
    exchangeabilities = 1.0 - np.eye(4)
    return SubstitutionModel("JC69", np.full(4, 0.25), exchangeabilities, rates, weights)


def compile_beagle(source: Path, folder: Path) -> Path:
    """Build the C program against libhmsbeagle and return its path."""
    program = folder / "beagle_bench"
    flags = ["-O2"]
    config = subprocess.run(
        ["pkg-config", "--cflags", "hmsbeagle-1"], capture_output=True, text=True, check=False
    )
    flags += config.stdout.split() if config.returncode == 0 else ["-I/usr/include/libhmsbeagle-1"]
    command = ["gcc", *flags, str(source), "-o", str(program), "-lhmsbeagle", "-lm"]
    subprocess.run(command, check=True)
    return program


def run_beagle(program: Path, arguments: Sequence[int]) -> tuple[float, float]:
    """Microseconds an evaluation, and the log-likelihood."""
    command = [str(program), *map(str, arguments)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"([\d.]+) us/eval lnL (-?[\d.]+)", text)
    if found is None:
        raise SystemExit(f"cannot read the output of {program.name}: {text!r}")
    return float(found[1]), float(found[2])


@njit
def repeat_value(repetitions, model, data, children, lengths):
    """Evaluate the likelihood some times."""
    total = 0.0
    for _ in range(repetitions):
        total += kernels.log_likelihood(model, data, children, 0, lengths, False)
    return total


@njit
def repeat_derivatives(repetitions, model, data, children, order, count, lengths, space, d1, d2):
    """Evaluate the likelihood and all its derivatives some times."""
    total = 0.0
    for _ in range(repetitions):
        total += kernels.derivatives(
            model, data, children, 0, order, count, lengths, False, space, False, d1, d2
        )
    return total


def compiled_loops(likelihood: TreeLikelihood, tree: Tree) -> tuple[Callable[[int], float], ...]:
    """Loops over the value, and over value and derivatives, of one tree."""
    model, data = likelihood.model_arrays, likelihood.data_arrays
    n_nodes = len(tree.parent)
    order = np.empty(n_nodes, np.int32)
    count = kernels.postorder(tree.children, tree.children[0, 0], order)
    d1, d2 = np.zeros(n_nodes), np.zeros(n_nodes)
    space = likelihood.workspace()
    return (
        lambda reps: repeat_value(reps, model, data, tree.children, tree.lengths),
        lambda reps: repeat_derivatives(
            reps, model, data, tree.children, order, count, tree.lengths, space, d1, d2
        ),
    )


def microseconds(loop: Callable[[int], float], repetitions: int) -> float:
    """Mean time of a call within a compiled loop."""
    loop(1)
    start = time.perf_counter()
    loop(repetitions)
    return (time.perf_counter() - start) / repetitions * 1e6


def spread(values: Sequence[float], digits: int) -> str:
    """Median with the lowest and the highest."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def compare(
    title: str,
    ours: Sequence[Callable[[int], float]],
    theirs: Callable[[], float] | None,
    rounds: int,
    repetitions: int,
) -> list[list[str]]:
    """Rows for value and value with derivatives, timed in turns with BEAGLE."""
    value, both, beagle = [], [], []
    for _ in range(rounds):
        value.append(microseconds(ours[0], repetitions))
        if theirs is not None:
            beagle.append(theirs())
        both.append(microseconds(ours[1], max(1, repetitions // 3)))
    rows = []
    for name, times in ((title, value), (f"{title}, value and all derivatives", both)):
        row = [name, spread(times, 0)]
        row.append(
            spread([b / v for b, v in zip(both, value, strict=True)], 2) if times is both else ""
        )
        if beagle:
            row += [spread(beagle, 0)]
            row += [spread([t / b for t, b in zip(times, beagle, strict=True)], 2)]
        rows.append(row)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--beagle-source", type=Path, default=os.environ.get(SOURCE_VARIABLE))
    parser.add_argument("--taxa", type=int, default=27)
    parser.add_argument("--patterns", type=int, default=934)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="three short rounds")
    options = parser.parse_args(arguments)
    rounds, repetitions = (3, 50) if options.quick else (options.rounds, 1000)
    size = (options.taxa, options.patterns)
    patterns, tree = beagle_patterns(*size), beagle_tree(options.taxa)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        program = None
        if options.beagle_source:
            program = compile_beagle(Path(options.beagle_source), Path(folder))
        for title, n_categories in (("JC69", 1), ("general reversible + 4 rates", 4)):
            likelihood = TreeLikelihood(patterns, beagle_model(n_categories))
            loops = compiled_loops(likelihood, tree)
            reps = max(repetitions // n_categories, 10)
            theirs = None
            if program is not None:
                known, expected = run_beagle(program, (*size, 1, n_categories))
                found = likelihood.log_likelihood(tree)
                if abs(found - expected) > 1e-5 or known <= 0:
                    raise SystemExit(f"{title}: our {found:.6f} is not BEAGLE's {expected:.6f}")
                command = (*size, reps, n_categories)
                theirs = lambda binary=program, words=command: run_beagle(binary, words)[0]  # noqa: E731
            rows += compare(title, loops, theirs, rounds, reps)
    header = ["problem", "µs a call", "derivatives / value"]
    header += ["BEAGLE µs", "ours / BEAGLE"] if program is not None else []
    command = ["python", "-m", "benchmarks.phylogfn.likelihood", *(arguments or sys.argv[1:])]
    command = [Path(word).name if os.sep in word else word for word in command]
    print(measured_on(command))
    print(
        f"{options.taxa} taxa, {options.patterns} patterns, one thread, {rounds} rounds in turns:"
    )
    print("medians (lowest-highest).\n")
    print(markdown_table(header, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
