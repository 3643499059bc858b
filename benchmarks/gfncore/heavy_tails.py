"""Are the stated errors of a mean weight right where the weights have a heavy tail?

Usage, from the checkout::

    python -m benchmarks.gfncore.heavy_tails --replicates 300
    python -m benchmarks.gfncore.heavy_tails --quick

Weights of mean 1: log-normal ones, those of a normal target in 3 to 20 dimensions under a proposal
of .8 times its width, and the same with a tenth of the draws from one of 1.3 times its width. A row
for each range of k-hat holds the root mean square of the errors of log Z in stated standard errors,
as the sample variance states them and with the tail beyond the largest draw
(`gfncore.evaluation.unseen_tail`), and how often each is off by more than three. It should be 1.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from benchmarks.machine import markdown_table, measured_on
from gfncore.evaluation import pareto_k
from gfncore.evaluation.unseen_tail import unseen_tail_factor

__all__ = ["FAMILIES", "errors", "main"]

SIZES = (300, 1000, 4000, 16000)
NARROW, WIDE, WIDE_SHARE = 0.8, 1.3, 0.1
FEWEST = 30  # samples of a row
EDGES = (-math.inf, 0.3, 0.5, 0.6, 0.7, 1.0, math.inf)


def log_normal(n: int, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Log weights (n,) of a log-normal distribution."""
    return rng.normal(-(sigma**2) / 2, sigma, n)


def narrow(n: int, dimensions: float, rng: np.random.Generator) -> np.ndarray:
    """Log weights (n,) of a standard normal target under one that is too narrow."""
    squares = NARROW**2 * rng.chisquare(dimensions, n)
    return -0.5 * squares + 0.5 * squares / NARROW**2 + dimensions * math.log(NARROW)


def mixture(n: int, dimensions: float, rng: np.random.Generator) -> np.ndarray:
    """Log weights (n,) of the same target under a mixture with a wide component."""
    scale = np.where(rng.random(n) < WIDE_SHARE, WIDE, NARROW)
    squares = scale**2 * rng.chisquare(dimensions, n)

    def component(share: float, width: float) -> np.ndarray:
        return math.log(share) - 0.5 * squares / width**2 - dimensions * math.log(width)

    density = np.logaddexp(component(1.0 - WIDE_SHARE, NARROW), component(WIDE_SHARE, WIDE))
    return -0.5 * squares - density


FAMILIES: dict[
    str, tuple[Callable[[int, float, np.random.Generator], np.ndarray], tuple[float, ...]]
] = {
    "log-normal": (log_normal, (0.5, 1.0, 1.5, 2.0, 2.5)),
    "too narrow": (narrow, (3, 5, 10, 20)),
    "mixture": (mixture, (3, 5, 10, 20)),
}


def errors(replicates: int, sizes: Sequence[int], seed: int) -> Iterator[dict[str, object]]:
    """Yield the family, k-hat and the error of log Z of each sample in both standard errors."""
    rng = np.random.default_rng(seed)
    for name, (draw, settings) in FAMILIES.items():
        for size in sizes:
            for setting in settings:
                for _ in range(replicates):
                    log_weights = draw(size, setting, rng)
                    weights = np.exp(log_weights)
                    error = weights.std(ddof=1) / math.sqrt(size) / weights.mean()
                    z = math.log(weights.mean()) / error
                    factor = unseen_tail_factor(log_weights)
                    k = pareto_k(log_weights)
                    yield {"family": name, "k": k, "plain": z, "tail": z / factor}


def table(found: pd.DataFrame) -> str:
    """Return the table in Markdown."""
    rows = []
    for name, (low, high) in itertools.product(FAMILIES, itertools.pairwise(EDGES)):
        group = found[(found["family"] == name) & (found["k"] > low) & (found["k"] <= high)]
        if len(group) < FEWEST:
            continue
        row = [name, f"{low:g} to {high:g}", f"{len(group):,}"]
        plain, tail = np.asarray(group["plain"]), np.asarray(group["tail"])
        for z in (plain, tail):
            row += [f"{math.sqrt((z**2).mean()):.2f}", f"{(np.abs(z) > 3).mean():.1%}"]
        rows.append([*row, f"{np.median(plain / tail):.2f}"])
    head = ["weights", "k-hat", "samples", "rms, sample variance", "beyond 3"]
    return markdown_table([*head, "rms, with the tail", "beyond 3", "median factor"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--replicates", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="100 samples of 300 weights each")
    options = parser.parse_args(arguments)
    sizes = SIZES[:1] if options.quick else SIZES
    replicates = 100 if options.quick else options.replicates
    found = pd.DataFrame(list(errors(replicates, sizes, options.seed)))
    given = list(arguments) if arguments is not None else sys.argv[1:]
    print(measured_on(["python", "-m", "benchmarks.gfncore.heavy_tails", *given]))
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
