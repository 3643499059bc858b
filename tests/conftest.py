"""Small problems of known answer, for the tests of several directories (none is a package)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).resolve().parents[1] / "data"


def _inserted(parent, n_taxa, taxon, branch):
    tree = parent.copy()
    node = n_taxa + taxon - 2
    tree[node] = tree[branch]
    tree[branch] = tree[taxon] = node
    return tree


@pytest.fixture(scope="session")
def all_topologies():
    """Return a function of n: parents ((2n-5)!!, 2n-2), int16, of every topology, by insertion."""

    def enumerate_topologies(n_taxa):
        first = np.full(2 * n_taxa - 2, -1, np.int16)
        first[n_taxa] = 0
        first[1] = first[2] = n_taxa
        trees = [first]
        for taxon in range(3, n_taxa):
            trees = [
                _inserted(tree, n_taxa, taxon, branch)
                for tree in trees
                for branch in np.flatnonzero(tree >= 0)
            ]
        return np.stack(trees)

    return enumerate_topologies


@pytest.fixture(scope="session")
def primates():
    """Return a function that takes some taxa and sites of the primates, as an `Alignment`.

    Both are a number, the first ones, or which.
    """
    from phylogfn.alignment import read_alignment

    whole = read_alignment(str(DATA / "primates.fasta"))

    def part(taxa, sites=None):
        index = list(range(taxa)) if isinstance(taxa, int) else list(taxa)
        columns = sites if isinstance(sites, slice) else slice(sites)
        masks = np.ascontiguousarray(whole.masks[index][:, columns])
        names = tuple(whole.names[i] for i in index)
        return replace(whole, names=names, masks=masks, gaps=whole.gaps[index][:, columns])

    return part


@pytest.fixture
def make_reward():
    """Return a function that makes the `CollapsedReward` of an alignment."""
    from phylogfn.alignment import compress
    from phylogfn.evidence import CollapsedReward
    from phylogfn.likelihood import TreeLikelihood
    from phylogfn.models import parse_model

    made = []

    def make(alignment, model="JC69", branch_rate=10.0, threads=1, rescale=None):
        patterns = compress(alignment)
        spec = parse_model(model, alignment.alphabet.name).resolve(patterns)
        likelihood = TreeLikelihood(patterns, spec.build(spec.start(patterns)))
        if rescale is not None:
            likelihood.rescale = rescale
        made.append(CollapsedReward(likelihood, branch_rate, threads))
        return made[-1]

    yield make
    for reward in made:
        reward.pool.shutdown()
