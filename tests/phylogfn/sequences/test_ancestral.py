"""Ancestral sequences: averages over the draws that contain a clade."""

from __future__ import annotations

import numpy as np
import pytest

from phylogfn.models import parse_model
from phylogfn.sequences.ancestral import (
    FEWEST,
    THRESHOLD,
    AncestralPart,
    reconstruct,
)
from phylogfn.sequences.named_clades import NamedClade
from phylogfn.sequences.node_states import node_state_probabilities
from phylogfn.trees.tree import Tree, node_splits

# ((0,1),(2,3),4) and two other topologies, drawn at leaf 0 with node 7 next to it
TOPOLOGIES = (
    [-1, 7, 5, 5, 6, 6, 7, 0],  # (0, 1, ((2, 3), 4))
    [-1, 7, 5, 6, 5, 6, 7, 0],  # (0, 1, ((2, 4), 3))
)
CLADES = (
    NamedClade("pair", (2, 3)),
    NamedClade("three", (2, 3, 4)),
    NamedClade("first", (0, 1)),
    NamedClade("all but the first", (1, 2, 3, 4)),
    NamedClade("never", (1, 4)),
)


@pytest.fixture
def draws():
    rng = np.random.default_rng(1)
    return [
        Tree.from_parents(np.array(TOPOLOGIES[int(i % 3 == 2)]), rng.exponential(0.2, 8))
        for i in range(30)
    ]


@pytest.fixture
def part():
    rng = np.random.default_rng(2)
    masks = np.left_shift(np.uint32(1), rng.integers(4, size=(5, 6)).astype(np.uint32))
    masks[:, 1] = 4
    masks[3, 2] = 15
    patterns = np.array([0, 1, 2, 3, 4, 5, 1, 1], np.int32)
    return AncestralPart(masks, patterns, np.array([1, 2, 3, 5, 6, 7, 8, 9]), "ACGT", "N")


def model_of(draw):
    return parse_model("HKY85+F{0.3,0.2,0.2,0.3}", "dna").build(np.array([np.log(2.0 + draw % 2)]))


def test_probabilities_are_means_over_the_draws_with_the_clade(draws, part):
    found = reconstruct(CLADES, [part], draws.__getitem__, lambda i: [model_of(i)], len(draws))
    assert found.n_used == 30
    assert [one.n_draws for one in found.sequences] == [20, 30, 30, 30, 0]
    assert found.sequences[4].probabilities == ()
    expected = {name: [] for name in ("pair", "three", "first", "all but the first")}
    for i, tree in enumerate(draws):
        below = {mask: node for node, mask in enumerate(node_splits(tree))}
        places = {
            "pair": below.get(0b01100),
            "three": below[0b11100],
            "first": 7,  # the upper end of the branch of the three
            "all but the first": 7,  # below the branch of taxon 0
        }
        for name, node in places.items():
            if node is not None:
                p = node_state_probabilities(tree, part.masks, model_of(i), [node])[0]
                expected[name].append(p.T[part.site_to_pattern])
    for one in found.sequences[:4]:
        (p,) = one.probabilities
        assert p.shape == (8, 4)
        np.testing.assert_allclose(p.sum(axis=1), 1.0)
        np.testing.assert_allclose(p, np.mean(expected[one.clade.name], axis=0), rtol=1e-9)


def test_sequences_have_no_state_below_the_threshold(draws, part):
    found = reconstruct(CLADES, [part], draws.__getitem__, lambda i: [model_of(i)], len(draws))
    one = found.sequences[1]
    (p,) = one.probabilities
    text = found.text(one)
    assert len(text) == 8 and text[1] == "G"
    for letter, row in zip(text, p, strict=True):
        assert letter == ("ACGT"[row.argmax()] if row.max() >= THRESHOLD else "N")
    assert "N" in found.text(one, 0.999) and "N" not in found.text(one, 0.0)


def test_parts_are_put_together_by_their_sites(draws, part):
    other = AncestralPart(
        np.full((5, 1), 2, np.uint32), np.array([0], np.int32), np.array([4]), "01", "?"
    )
    binary = parse_model("JC69", "dna").build(np.zeros(0))
    two = type(binary)(
        "two states", np.full(2, 0.5), 1.0 - np.eye(2), binary.category_rates,
        binary.category_weights,
    )  # fmt: skip
    found = reconstruct(
        CLADES[:1], [part, other], draws.__getitem__, lambda i: [model_of(i), two], len(draws)
    )
    alone = reconstruct(CLADES[:1], [part], draws.__getitem__, lambda i: [model_of(i)], 30)
    text = alone.text(alone.sequences[0])
    assert found.text(found.sequences[0]) == text[:3] + "1" + text[3:]


def test_the_clock_ends_it_after_the_first_draws(draws, part):
    found = reconstruct(
        CLADES, [part], draws.__getitem__, lambda i: [model_of(i)], 30, lambda done: True
    )
    assert found.n_used == FEWEST == found.sequences[1].n_draws
