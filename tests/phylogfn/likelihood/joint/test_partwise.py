"""Log likelihoods of a tree near some parameters, against models built one by one."""

from __future__ import annotations

import numpy as np
import pytest

from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.partitions.choice import PartitionChoice
from phylogfn.alignments.patterns import compress
from phylogfn.likelihood.joint.partwise import PartwiseLikelihood
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.runs.sample.part_models import spec_of_parts
from phylogfn.trees.tree import Tree, random_topology

CORNERS = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
SETS = """begin sets;
charset characters = 1-6;
charset first = 7-14;
charset second = 15-22;
charpartition parts = characters: characters, first: first, second: second;
end;
"""


@pytest.mark.parametrize("linked", [(), ("gamma_shape",), ("rates",), ("all",)])
def test_values_are_those_of_models_built_one_by_one(tmp_path, mixed_matrix, linked):
    path = tmp_path / "mixed.nex"
    path.write_text(mixed_matrix + SETS)
    alignment = read_alignment(str(path), choice=PartitionChoice("parts", ()))
    patterns = compress(alignment)
    models = ("MKV+G4", "GTR+I+G4", "HKY85+G4")
    spec = spec_of_parts(alignment, patterns, models, linked)
    rng = np.random.default_rng(1)
    d = spec.n_free
    base = spec.start(patterns) + 0.2 * rng.standard_normal(d)
    lengths = np.append(0.0, rng.exponential(0.2, 7))
    topology = random_topology(5, rng)
    tree = Tree(topology.parent, topology.children, lengths)
    like = TreeLikelihood(patterns, spec.build(base))
    # one coordinate, and two, move
    thetas = [base, *(base + 0.3 * np.eye(d)), *(base + 0.2 * (np.eye(d) + np.eye(d)[::-1]))]
    calls = []

    def in_threads(task, n):
        calls.append(n)
        task(0, n // 2)
        task(n // 2, n)

    partwise = PartwiseLikelihood(spec, like)
    values = partwise.values(topology, np.array(thetas), lengths, in_threads)
    plain = [like.with_model(spec.build(theta)).log_likelihood(tree) for theta in thetas]
    np.testing.assert_allclose(values, plain, rtol=0.0, atol=1e-9)
    # most values are those of one part
    assert len(calls) == 1 + np.count_nonzero(np.isin(np.arange(3), partwise.owner))
    if not linked:
        assert calls[0] < len(thetas) / 2
        i, j = (int(np.flatnonzero(partwise.owner == part)[0]) for part in (1, 2))
        assert partwise.separate(i, j)
        assert not partwise.separate(i, i)
        assert not partwise.separate(i, d - 1)  # a relative rate
        corners = base + 0.3 * np.array([np.eye(d)[i] * a + np.eye(d)[j] * b for a, b in CORNERS])
        plain = [like.with_model(spec.build(theta)).log_likelihood(tree) for theta in corners]
        assert abs(np.dot([1.0, -1.0, -1.0, 1.0], plain)) < 1e-9


def test_without_parts_all_values_are_those_of_the_whole(primates):
    patterns = compress(primates([0, 1, 2, 7], 60))
    spec = parse_model("HKY85", "dna").resolve(patterns)
    like = TreeLikelihood(patterns, spec.build(spec.start(patterns)))
    tree = random_topology(4, np.random.default_rng(1))
    lengths = np.append(0.0, np.full(5, 0.1))
    thetas = spec.start(patterns) + np.array([[0.0], [0.1]]) * np.ones(spec.n_free)
    own = Tree(tree.parent, tree.children, lengths)
    plain = [like.with_model(spec.build(theta)).log_likelihood(own) for theta in thetas]
    partwise = PartwiseLikelihood(spec, like)
    np.testing.assert_allclose(partwise.values(tree, thetas, lengths), plain, atol=1e-9)
    assert not partwise.separate(0, 1)
