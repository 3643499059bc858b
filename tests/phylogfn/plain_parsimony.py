"""Parsimony by dynamic programming, one character at a time, and made-up characters."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from phylogfn.trees.tree import children_from_parents


def plain_score(parent, masks, weights, n_states):
    """Least weighted number of changes of a tree drawn at leaf 0 (Sankoff 1975)."""
    change = 1.0 - np.eye(n_states)
    children = children_from_parents(np.asarray(parent))

    def costs(node, character):
        if children[node, 0] < 0 or node == 0:
            possible = (masks[node, character] >> np.arange(n_states)) & 1
            own = np.where(possible, 0.0, np.inf)
        else:
            own = np.zeros(n_states)
        for child in children[node]:
            if child >= 0:
                own = own + (costs(child, character)[None, :] + change).min(axis=1)
        return own

    return sum(weight * costs(0, c).min() for c, weight in enumerate(weights))


def with_taxon(parent, taxon, branch, node):
    """The tree after a taxon and a new node were put into a branch."""
    out = parent.copy()
    out[node] = out[branch]
    out[branch] = out[taxon] = node
    return out


def random_characters(rng, n_taxa, n_characters, n_states=4, ambiguous=0.0, weights=None):
    """Characters whose states stand in a tree of one half and another by chance."""
    states = rng.integers(n_states, size=(n_taxa, n_characters))
    states = np.where(rng.random(states.shape) < 0.5, states[:1], states)
    masks = (np.uint32(1) << states.astype(np.uint32)).astype(np.uint32)
    sets = rng.integers(1, 2**n_states, size=masks.shape).astype(np.uint32)
    sets[rng.random(masks.shape) < 0.3] = 2**n_states - 1
    masks = np.where(rng.random(masks.shape) < ambiguous, sets, masks)
    weights = np.ones(n_characters) if weights is None else np.asarray(weights, float)
    return SimpleNamespace(masks=masks, weights=weights, n_states=n_states, constant_steps=3.0)


def evolved_characters(rng, tree, n_characters, n_states=4, change=0.2):
    """Characters that change with a probability on each branch of a tree."""
    states = np.zeros((len(tree.parent), n_characters), np.uint32)
    states[0] = rng.integers(n_states, size=n_characters)
    stack = [0]
    while stack:
        node = stack.pop()
        for child in tree.children[node]:
            if child >= 0:
                new = rng.integers(n_states, size=n_characters)
                states[child] = np.where(rng.random(n_characters) < change, new, states[node])
                stack.append(child)
    masks = (np.uint32(1) << states[: tree.n_taxa]).astype(np.uint32)
    return SimpleNamespace(
        masks=masks, weights=np.ones(n_characters), n_states=n_states, constant_steps=0.0
    )
