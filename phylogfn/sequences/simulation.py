"""Sequences simulated along a tree.

Each site draws its category, or is invariant, then a state at leaf 0 from the equilibrium
frequencies of that category, and along each branch a state from the transition probabilities of its
category. The process is reversible, so that the node at which it starts has no meaning. Where the
data consist of variable sites alone, constant ones are drawn again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phylogfn.trees.tree import postorder

if TYPE_CHECKING:
    from phylogfn.models import SiteModel
    from phylogfn.trees.tree import Tree

__all__ = ["category_transitions", "simulate_states"]

_MOST_DRAWS, _LARGEST_BATCH = 10**8, 10**5  # sites, where only variable ones are kept


def category_transitions(model: SiteModel, lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return transition probabilities of branches in each rate category, shape (..., C, K, K).

    Parameters
    ----------
    model : SiteModel
    lengths : ndarray, shape (...)
        Expected substitutions per site, averaged over all sites.
    """
    each = [
        model.process(category).transition_probabilities(rate * np.asarray(lengths))
        for category, rate in enumerate(model.category_rates)
    ]
    return np.stack(each, axis=-3)


def simulate_states(
    tree: Tree, model: SiteModel, n_sites: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the states of the taxa at simulated sites, shape (n, n_sites), uint8.

    Parameters
    ----------
    tree : Tree
        With branch lengths.
    model : SiteModel
    n_sites : int
    rng : numpy.random.Generator

    Raises
    ------
    ValueError
        If the tree has no branch lengths, or variable sites are too improbable to be drawn.
    """
    if tree.lengths is None:
        raise ValueError("the tree has no branch lengths")
    states = _all_sites(tree, model, n_sites, rng)
    if not model.variable_only:
        return states
    found = [states[:, _is_variable(states)]]
    made, held = n_sites, found[0].shape[1]
    while held < n_sites:
        if made > _MOST_DRAWS:
            raise ValueError(f"{held} of {made:,} simulated sites vary; {n_sites} are needed")
        size = int(min((n_sites - held) * (made + 1) / (held + 1) + 10, _LARGEST_BATCH))
        states = _all_sites(tree, model, size, rng)
        found.append(states[:, _is_variable(states)])
        made, held = made + size, held + found[-1].shape[1]
    return np.concatenate(found, axis=1)[:, :n_sites]


def _is_variable(states: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (states != states[0]).any(axis=0)


def _all_sites(
    tree: Tree, model: SiteModel, n_sites: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the states of the taxa at sites of any kind, shape (n, n_sites)."""
    assert tree.lengths is not None
    n_taxa, n_states = tree.n_taxa, model.n_states
    weights = np.append(model.category_weights, model.invariant)
    category = _draw(np.cumsum(weights)[None, :], n_sites, rng)
    transitions = np.empty((len(tree.parent), len(weights), n_states, n_states))
    transitions[:, :-1] = category_transitions(model, tree.lengths)
    transitions[:, -1] = np.eye(n_states)  # invariant sites
    cumulative = np.cumsum(transitions, axis=-1).reshape(len(tree.parent), -1, n_states)
    states = np.empty((len(tree.parent), n_sites), np.uint8)
    processes = [model.process(c).frequencies for c in range(model.n_categories)]
    start = np.cumsum([*processes, model.frequencies], axis=1)  # the last is of invariant sites
    states[0] = _draw(start[category], n_sites, rng)
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
