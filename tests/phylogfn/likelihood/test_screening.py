"""Models screened by Schwarz's criterion."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phylogfn.alignments.patterns import compress
from phylogfn.likelihood.model_fit import fit_model
from phylogfn.likelihood.screening import (
    ScreenedModel,
    candidate_names,
    contenders,
    is_auto,
    screen_models,
)
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.trees.tree import Tree, random_topology


def test_all_candidates_are_models():
    for kind in ("dna", "rna", "protein"):
        names = candidate_names(kind)
        assert len(set(names)) == len(names) == (24 if kind == "protein" else 12)
        assert [parse_model(name, kind).name for name in names] == list(names)
    assert is_auto(" AUTO ") and not is_auto("JC69")


def test_criterion_is_that_of_the_maximum(primates):
    patterns = compress(primates([0, 1, 2, 7, 11], 300))
    topology = random_topology(5, np.random.default_rng(1))
    tree = Tree(topology.parent, topology.children, np.full(8, 0.1))
    names = ["JC69", "K80", "HKY85", "F81+F"]
    found = {m.name: m for m in screen_models(names, "dna", patterns, tree, lambda: False)}
    assert list(found) == sorted(names, key=lambda name: found[name].bic)
    for name, n_parameters in zip(names, (0, 1, 4, 3), strict=True):
        spec = parse_model(name, "dna").resolve(patterns)
        fit = fit_model(spec, patterns, tree)
        best = TreeLikelihood(patterns, fit.model).log_likelihood(
            Tree(tree.parent, tree.children, fit.lengths)
        )
        model = found[name]
        assert model.n_parameters == n_parameters
        assert model.log_likelihood == pytest.approx(best, abs=0.02)
        bic = (n_parameters + 7) * math.log(300) - 2.0 * model.log_likelihood
        assert model.bic == pytest.approx(bic)


def test_models_are_left_out_when_the_time_is_up(primates):
    patterns = compress(primates([0, 1, 2, 7, 11], 60))
    topology = random_topology(5, np.random.default_rng(1))
    tree = Tree(topology.parent, topology.children, np.full(8, 0.1))
    found = screen_models(candidate_names("dna"), "dna", patterns, tree, lambda: True)
    assert [model.name for model in found] == ["JC69"]


def test_contenders_are_close_to_the_best():
    screened = [ScreenedModel(f"m{i}", 0, 0.0, bic) for i, bic in enumerate([10.0, 21.0, 23.0])]
    assert contenders(screened) == ("m0", "m1")
