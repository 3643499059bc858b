"""References."""

from __future__ import annotations

import pytest

from phylogfn.citations import (
    ALWAYS_CITED,
    REFERENCES,
    bibtex,
    methods_of_branch_lengths,
    methods_of_branch_prior,
    methods_of_model,
    plain_text,
    references,
)


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        ("JC69", ("jc69",)),
        ("HKY85{2.1}+G4{0.5}+I", ("hky85", "gamma", "invariant")),
        ("TNe+I", ("tn93", "invariant")),
        ("K3Pu", ("k81",)),
        ("TIM2e", ("tim",)),
        ("TVM+G4", ("tim", "gamma")),
        ("sym", ("sym",)),
        ("010212+R3", ("free_rates",)),
        ("gtr+g", ("gtr", "gamma")),
        ("LG+F", ("lg",)),
        ("Q.pfam+R4", ("q.pfam", "free_rates")),
        ("mtMAM", ("mtmam",)),
        ("LG4X", ("lg4",)),
        ("LG+C20+G4", ("lg", "profiles", "gamma")),
        ("C60", ("profiles",)),
        ("Poisson", ()),
        ("MKV+G4", ("mk", "gamma")),
        ("JC69+ASC", ("jc69", "ascertainment")),
    ],
)
def test_methods_of_a_model(model, keys):
    assert methods_of_model(model) == keys


@pytest.mark.parametrize(
    ("prior", "keys"),
    [
        ("exp:10", ()),
        ("gamma:2,20", ()),
        ("gammadir:1,0.1,1,1", ("compound_dirichlet", "compound_dirichlet_robust")),
        ("invgammadir:3,1,1,1", ("compound_dirichlet", "compound_dirichlet_robust")),
    ],
)
def test_methods_of_a_branch_prior(prior, keys):
    assert methods_of_branch_prior(prior) == keys
    assert set(keys) <= set(REFERENCES)


def test_a_publication_is_listed_once():
    assert list(references(["pruning", "f81", "gamma"])) == ["pruning", "gamma"]


def test_all_are_written():
    assert set(ALWAYS_CITED) <= set(REFERENCES)
    for key, reference in REFERENCES.items():
        text, entry = plain_text(reference), bibtex(key, reference)
        assert str(reference.year) in text and reference.title in text
        assert entry.count("{") == entry.count("}")
        assert entry.startswith(f"@{reference.kind}{{{key},")


def test_annealed_draws_are_cited():
    assert methods_of_branch_lengths("independent") == ()
    keys = methods_of_branch_lengths("annealed")
    assert "annealed_importance_sampling" in keys
    found = references(keys)
    assert any("Neal" in reference.authors for reference in found.values())
