"""Alignments simulated on random trees, for the benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phylogfn.sequences.simulation import simulate_states
from phylogfn.trees.tree import Tree, random_topology

if TYPE_CHECKING:
    from phylogfn.models import SiteModel

__all__ = ["simulated_alignment"]

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
