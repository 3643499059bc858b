"""Small problems of known answer, for the tests of several directories (none is a package)."""

from __future__ import annotations

import signal
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


@pytest.fixture
def hangups_end_children():
    """Let child processes end by SIGHUP also if the tests run under nohup, which ignores it."""
    before = signal.getsignal(signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


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
def two_islands():
    """Return a function that simulates an alignment with two islands of equal posterior, as FASTA.

    Its columns are the splits of a random caterpillar tree and those of the same tree after a
    random exchange of taxa in pairs, `weight` columns of each and kind, besides singletons and
    constant columns. They are closed under the exchange, so that a tree and its image have equal
    likelihoods, while trees that are between the two fit neither half of the columns.
    """

    def simulate(n_taxa, seed, weight=3):
        rng = np.random.default_rng(seed)
        order = rng.permutation(n_taxa)
        exchange = np.arange(n_taxa)
        pairs = rng.permutation(n_taxa)[: n_taxa // 2 * 2].reshape(-1, 2)
        exchange[pairs[:, 0]], exchange[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
        columns = []
        for taxa in (order, exchange[order]):
            for size in range(2, n_taxa - 1):
                columns += [np.isin(np.arange(n_taxa), taxa[:size])] * weight
        columns += list(np.eye(n_taxa, dtype=bool))
        inside = np.repeat(np.array(columns), 2, axis=0).T  # n x sites
        letters = np.tile(["AG", "CT"], len(columns))
        rows = [
            "".join(pair[int(x)] for pair, x in zip(letters, row, strict=True)) for row in inside
        ]
        constant = "".join(letter * 20 for letter in "ACGT")
        return "".join(f">t{i}\n{row}{constant}\n" for i, row in enumerate(rows)), exchange

    return simulate


@pytest.fixture(scope="session")
def primates():
    """Return a function that takes some taxa and sites of the primates, as an `Alignment`.

    Both are a number, the first ones, or which.
    """
    from phylogfn.alignments.alignment import read_alignment

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
    from phylogfn.alignments.patterns import compress
    from phylogfn.likelihood.branch_prior import parse_branch_prior
    from phylogfn.likelihood.collapsed import CollapsedReward
    from phylogfn.likelihood.tree_likelihood import TreeLikelihood
    from phylogfn.models import parse_model

    made = []

    def make(alignment, model="JC69", branch_prior="exp:10", threads=1, rescale=None):
        patterns = compress(alignment)
        spec = parse_model(model, alignment.alphabet.name).resolve(patterns)
        likelihood = TreeLikelihood(patterns, spec.build(spec.start(patterns)))
        if rescale is not None:
            likelihood.rescale = rescale
        made.append(CollapsedReward(likelihood, parse_branch_prior(branch_prior), threads))
        return made[-1]

    yield make
    for reward in made:
        reward.pool.shutdown()
