"""Sequences simulated along a tree.

Each site draws its rate category, or is invariant, then a state at leaf 0 from the equilibrium
frequencies, and along each branch a state from the transition probabilities of its category. The
process is reversible, so that the node at which it starts has no meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phylogfn.trees.tree import postorder

if TYPE_CHECKING:
    from phylogfn.models import SubstitutionModel
    from phylogfn.trees.tree import Tree

__all__ = ["category_transitions", "simulate_states"]


def category_transitions(
    model: SubstitutionModel, lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return transition probabilities of branches in each rate category, shape (..., C, K, K).

    Parameters
    ----------
    model : SubstitutionModel
    lengths : ndarray, shape (...)
        Expected substitutions per site, averaged over all sites.
    """
    return model.transition_probabilities(np.multiply.outer(lengths, model.category_rates))


def simulate_states(
    tree: Tree, model: SubstitutionModel, n_sites: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the states of the taxa at simulated sites, shape (n, n_sites), uint8.

    Parameters
    ----------
    tree : Tree
        With branch lengths.
    model : SubstitutionModel
    n_sites : int
    rng : numpy.random.Generator
    """
    if tree.lengths is None:
        raise ValueError("the tree has no branch lengths")
    n_taxa, n_states = tree.n_taxa, model.n_states
    weights = np.append(model.category_weights, model.invariant)
    category = _draw(np.cumsum(weights)[None, :], n_sites, rng)
    transitions = np.empty((len(tree.parent), len(weights), n_states, n_states))
    transitions[:, :-1] = category_transitions(model, tree.lengths)
    transitions[:, -1] = np.eye(n_states)  # invariant sites
    cumulative = np.cumsum(transitions, axis=-1).reshape(len(tree.parent), -1, n_states)
    states = np.empty((len(tree.parent), n_sites), np.uint8)
    states[0] = _draw(np.cumsum(model.frequencies)[None, :], n_sites, rng)
    offset = category * n_states
    for node in postorder(tree)[-2::-1].tolist():  # each node after the one above it
        rows = cumulative[node][offset + states[tree.parent[node]]]
        states[node] = _draw(rows, n_sites, rng)
    return states[:n_taxa]


def _draw(
    cumulative: NDArray[np.float64], n_sites: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the index drawn at each site from rows of cumulative probabilities (1 or S, K)."""
    chosen = rng.random(n_sites) * cumulative[:, -1]  # sums may differ from 1 in the last digit
    return (chosen[:, None] >= cumulative[:, :-1]).sum(axis=1)
