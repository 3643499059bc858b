"""Models of many parameter vectors at once, against models built one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.patterns import PartitionedPatterns, SitePatterns, compress
from phylogfn.likelihood.joint.stacked_models import log_priors, stacked_models
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.models.partitioned import partitioned_spec
from phylogfn.trees.tree import Tree, random_topology

DATA = Path(__file__).resolve().parents[4] / "data"
N_DRAWS = 7
MODELS = [
    ("dna", "K80"), ("dna", "F81"), ("dna", "TN93+I"), ("dna", "012012+R3"), ("dna", "GTR+I+G4"),
    ("dna", "HKY85+G4+ASC"),
    ("protein", "LG+I+G4"), ("protein", "WAG+FO+G3"), ("protein", "LG4X"), ("protein", "LG+C10+G4"),
]  # fmt: skip


N_TAXA = 5


def make_patterns(kind, n_patterns, seed):
    """Patterns of single states, all of weight 2."""
    n_states = 4 if kind == "dna" else 20
    states = np.random.default_rng(seed).integers(n_states, size=(N_TAXA, n_patterns))
    masks = (1 << states).astype(np.uint32)
    index = np.arange(n_patterns, dtype=np.int32)
    return SitePatterns(masks, np.full(n_patterns, 2.0), index, n_states)


def check(spec, patterns):
    like = TreeLikelihood(patterns, spec.build(spec.start()))
    rng = np.random.default_rng(3)
    thetas = spec.start() + 0.7 * rng.standard_normal((N_DRAWS, spec.n_free))
    tree = random_topology(like.n_taxa, rng)
    lengths = np.zeros((N_DRAWS, 2 * like.n_taxa - 2))
    lengths[:, 1:] = rng.exponential(0.1, (N_DRAWS, 2 * like.n_taxa - 3))
    made = stacked_models(spec, thetas, like)
    models = like.model_arrays._replace(table=made.table, numbers=made.numbers)
    found = like.log_likelihoods_of_models(tree, lengths, models, made.invariant)
    plain = [
        TreeLikelihood(patterns, spec.build(theta)).log_likelihood(
            Tree(tree.parent, tree.children, own)
        )
        for theta, own in zip(thetas, lengths, strict=True)
    ]
    np.testing.assert_allclose(found, plain, rtol=1e-9)
    assert np.ptp(found) > 1.0
    priors = [spec.log_prior(theta) for theta in thetas]
    np.testing.assert_allclose(log_priors(spec, thetas), priors, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("kind", "model"), MODELS)
def test_stacked_models_have_the_likelihoods_of_models_built_one_by_one(kind, model):
    patterns = make_patterns(kind, 130, 1)
    check(parse_model(model, kind).resolve(patterns), patterns)


@pytest.mark.parametrize("linked", [(), ("frequencies", "gamma_shape"), ("rates",)])
def test_models_of_parts_are_stacked_with_their_relative_rates(linked):
    models = [("dna", "GTR+I+G4"), ("protein", "LG+G4"), ("dna", "HKY85+G4"), ("dna", "F81")]
    parts = tuple(make_patterns(kind, 20 + i, i) for i, (kind, _) in enumerate(models))
    patterns = PartitionedPatterns.from_groups(parts)
    named = [
        (f"part{i}", parse_model(model, kind), 2 * (20 + i))
        for i, (kind, model) in enumerate(models)
    ]
    check(partitioned_spec(named, linked).resolve(patterns), patterns)


@pytest.mark.parametrize("model", ["MKV+G4", "MK+I+G4", "MKV+R3"])
def test_classes_of_morphological_characters_are_stacked_with_their_common_parameters(model):
    whole = read_alignment(str(DATA / "simulated.nex"))
    patterns = compress(whole)
    spec = parse_model(model, "standard").resolve(patterns)
    assert len(spec.build(spec.start()).parts) > 1
    check(spec, patterns)


@pytest.mark.parametrize(
    "priors",
    [
        {"gamma_shape": "gamma:2,3", "frequencies": "dirichlet:1,2,3,4", "invariant": "beta:2,3"},
        {"gamma_shape": "uniform:0.1,2", "kappa": "exp:0.5", "invariant": "uniform:0.1,0.9"},
    ],
)
def test_priors_of_all_kinds_are_those_of_single_vectors(priors):
    spec = parse_model("HKY85+I+G4", "dna").with_priors(priors)
    thetas = spec.start() + np.random.default_rng(1).standard_normal((40, spec.n_free))
    plain = [spec.log_prior(theta) for theta in thetas]
    np.testing.assert_allclose(log_priors(spec, thetas), plain, rtol=1e-12)
