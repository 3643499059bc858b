"""Alignments simulated on random trees, for the benchmarks, and runs on many of them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from phylogfn.sequences.simulation import simulate_states
from phylogfn.trees.tree import Tree, random_topology

if TYPE_CHECKING:
    from phylogfn.models import SiteModel

__all__ = ["in_processes", "simulated_alignment"]

Task = TypeVar("Task")
Result = TypeVar("Result")

STATES = "ACGT"


def simulated_alignment(
    model: SiteModel, n_taxa: int, n_sites: int, mean_length: float, rng: np.random.Generator
) -> tuple[str, Tree]:
    """Return an alignment of nucleotides (FASTA), and the tree along which it was simulated.

    Parameters
    ----------
    model : SiteModel
    n_taxa, n_sites : int
    mean_length : float
        Of a branch, expected substitutions per site; lengths are exponentially distributed.
    rng : numpy.random.Generator
    """
    topology = random_topology(n_taxa, rng)
    lengths = rng.exponential(mean_length, len(topology.parent))
    lengths[0] = 0.0
    tree = Tree(topology.parent, topology.children, lengths)
    states = simulate_states(tree, model, n_sites, rng)
    text = "".join(f">t{i}\n{''.join(STATES[s] for s in row)}\n" for i, row in enumerate(states))
    return text, tree


def in_processes(
    function: Callable[[Task], Result], tasks: Sequence[Task], processes: int
) -> Iterator[Result]:
    """Yield the results of independent tasks in their order; each process has one at a time.

    Parameters
    ----------
    function : callable
        Of a module, so that other processes find it.
    tasks : sequence
    processes : int
        With 1, all is done in this process.
    """
    if processes == 1:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield from pool.map(function, tasks)
