"""Probabilities of the states at inner nodes of a tree, given the data.

Felsenstein's pruning from both sides of every branch (Yang, Kumar & Nei, Genetics 141:1641, 1995:
marginal reconstruction). With pi the equilibrium frequencies, w_c the weight of rate category c,
D_v,c(s) the likelihood of the data below node v if its state is s, and U_v,c(s) that of all other
data,

    P(s at v | data) ~ sum_c w_c pi(s) D_v,c(s) U_v,c(s) + w_0 pi(s) 1(all taxa may have s),

where the last term is that of invariant sites. Ambiguous and missing characters are sets of states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phylogfn.sequences.simulation import category_transitions
from phylogfn.trees.tree import postorder

if TYPE_CHECKING:
    from phylogfn.models import SiteModel
    from phylogfn.trees.tree import Tree

__all__ = ["node_state_probabilities"]

_CHUNK = 2**22  # numbers in the messages of the branches that are held at a time

Array = NDArray[np.float64]


def node_state_probabilities(
    tree: Tree, masks: NDArray[np.uint32], model: SiteModel, nodes: Sequence[int]
) -> Array:
    """Return the probabilities of the states at some nodes, shape (len(nodes), K, P).

    Parameters
    ----------
    tree : Tree
        With branch lengths.
    masks : ndarray, shape (n, P), uint32
        Site patterns: possible states of each taxon.
    model : SiteModel
    nodes : sequence of int
        Inner nodes of the tree.
    """
    if tree.lengths is None:
        raise ValueError("the tree has no branch lengths")
    transitions = category_transitions(model, tree.lengths)
    order = postorder(tree).tolist()
    size = len(tree.parent) * model.n_categories * model.n_states
    together = max(1, _CHUNK // size)
    found = np.empty((len(nodes), model.n_states, masks.shape[1]))
    for start in range(0, masks.shape[1], together):
        part = slice(start, start + together)
        found[:, :, part] = _of_patterns(tree, order, masks[:, part], model, transitions, nodes)
    return found


def _of_patterns(
    tree: Tree,
    order: list[int],
    masks: NDArray[np.uint32],
    model: SiteModel,
    transitions: Array,
    nodes: Sequence[int],
) -> Array:
    n, children, parent = tree.n_taxa, tree.children.tolist(), tree.parent.tolist()
    bits = np.arange(model.n_states, dtype=np.uint32)[None, :, None]
    tips = ((masks[:, None, :] >> bits) & 1).astype(np.float64)  # n x K x P
    # messages of the data below each branch at its upper end, and of all other data at its lower
    from_below: list[Array] = [np.zeros(0)] * len(parent)
    from_above: list[Array] = [np.zeros(0)] * len(parent)
    log_below = np.zeros((len(parent), masks.shape[1]))
    log_above = np.zeros((len(parent), masks.shape[1]))
    for node in order[:-1]:
        if node < n:
            partial, log_below[node] = tips[node], 0.0
        else:
            first, second = children[node]
            partial, scale = _scaled(from_below[first] * from_below[second])
            log_below[node] = log_below[first] + log_below[second] + scale
        from_below[node] = transitions[node] @ partial
    wanted = set()
    for node in nodes:
        while node > 0 and node not in wanted:
            wanted.add(node)
            node = parent[node]
    for node in reversed(order[:-1]):
        if node not in wanted:
            continue
        above = parent[node]
        if above == 0:
            partial = tips[0]
        else:
            first, second = children[above]
            sister = second if node == first else first
            partial, scale = _scaled(from_below[sister] * from_above[above])
            log_above[node] = log_below[sister] + log_above[above] + scale
        from_above[node] = transitions[node] @ partial
    each = [model.process(category).frequencies for category in range(model.n_categories)]
    weights = model.category_weights[:, None] * np.array(each)  # C x K
    common = model.frequencies[:, None] * model.invariant * (tips > 0.0).all(axis=0)
    found = np.empty((len(nodes), model.n_states, masks.shape[1]))
    for i, node in enumerate(nodes):
        first, second = children[node]
        joint = from_below[first] * from_below[second] * from_above[node]
        mean, scale = _scaled(np.einsum("cs,csp->sp", weights, joint)[None])
        scale += log_below[first] + log_below[second] + log_above[node]
        # a likelihood without invariant sites may be too small for a number
        joined = mean[0] * np.exp(np.minimum(scale, 700.0)) + common
        found[i] = np.where(common.any(axis=0), joined, mean[0])
    return found / found.sum(axis=1, keepdims=True)


def _scaled(partial: Array) -> tuple[Array, Array]:
    """Return partial likelihoods (C, K, P) divided by their maximum, and its logarithm (P,)."""
    largest = partial.max(axis=(0, 1))
    largest = np.where(largest > 0.0, largest, 1.0)
    return partial / largest, np.log(largest)
