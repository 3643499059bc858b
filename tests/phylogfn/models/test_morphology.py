"""Models of morphological characters: transition probabilities, classes, and model strings."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest

from gfncore.errors import UserError
from phylogfn.alignments.patterns import CharacterPatterns
from phylogfn.models import PartitionedModel, SubstitutionModel, parse_model, partitioned_spec
from phylogfn.models.morphology import character_exchangeabilities


def one_class(n_states, ordered, text="MK"):
    """Return the model of characters of one class, with all states in one character."""
    masks = np.left_shift(np.uint32(1), np.arange(n_states, dtype=np.uint32))[:, None]
    patterns = CharacterPatterns.from_characters(masks, 10, np.array([ordered]))
    model = parse_model(text, "standard").resolve(patterns).build()
    assert isinstance(model, SubstitutionModel)
    return model


@pytest.mark.parametrize("n_states", [2, 3, 7])
def test_unordered_states_are_alike(n_states):
    # Lewis 2001, and TiProbs_Std of MrBayes
    model, t = one_class(n_states, False), 0.37
    changed = exp(-n_states / (n_states - 1.0) * t)
    expected = np.full((n_states, n_states), (1.0 - changed) / n_states)
    expected += changed * np.eye(n_states)
    np.testing.assert_allclose(model.transition_probabilities(t), expected, rtol=1e-12)


def test_ordered_states_change_to_neighbours():
    three, t = one_class(3, True).transition_probabilities(0.37), 0.37
    slow, fast = exp(-0.75 * t), exp(-2.25 * t)  # the closed form of MrBayes
    assert three[0, 0] == pytest.approx(1 / 3 + slow / 2 + fast / 6)
    assert three[0, 1] == pytest.approx(1 / 3 - fast / 3)
    assert three[0, 2] == pytest.approx(1 / 3 - slow / 2 + fast / 6)
    assert three[1, 1] == pytest.approx(1 / 3 + 2 * fast / 3)
    four = one_class(4, True).transition_probabilities(t)
    terms = exp(-4 * t / 3), exp(2 * (sqrt(2) - 2) * t / 3), exp(-2 * (sqrt(2) + 2) * t / 3)
    one, two, three_ = terms[0], terms[1] / sqrt(2), terms[2] / sqrt(2)
    more, less = sqrt(2) + 1, sqrt(2) - 1
    assert four[0, 3] == pytest.approx((1 + one - more * two - less * three_) / 4)
    assert four[1, 2] == pytest.approx((1 + one - less * two - more * three_) / 4)


@pytest.mark.parametrize("n_states", [2, 3, 6])
@pytest.mark.parametrize("ordered", [False, True])
def test_a_branch_has_its_length_in_changes(n_states, ordered):
    generator = one_class(n_states, ordered).Q
    assert -np.diag(generator).mean() == pytest.approx(1.0)
    np.testing.assert_allclose(generator, generator.T)
    matrix = character_exchangeabilities(n_states, ordered)
    distance = np.abs(np.subtract.outer(np.arange(n_states), np.arange(n_states)))
    np.testing.assert_array_equal(matrix, (distance == 1) if ordered else (distance > 0))


def test_a_model_of_each_class_with_the_same_rates():
    masks = np.array([[1, 1, 1, 4], [2, 1, 2, 1], [1, 4, 4, 2], [2, 2, 1, 4]], np.uint32)
    ordered = np.array([True, False, True, True])
    patterns = CharacterPatterns.from_characters(masks, 10, ordered)
    spec = parse_model("MKV+G4", "standard").resolve(patterns)
    model = spec.build(np.log([0.7]))
    assert isinstance(model, PartitionedModel)
    assert [part.n_states for part in model.parts] == [2, 3, 3]
    assert all(part.variable_only and part.n_categories == 4 for part in model.parts)
    assert len({tuple(part.category_rates) for part in model.parts}) == 1
    with pytest.raises(ValueError, match="resolve"):
        parse_model("MK", "standard").build()
    with pytest.raises(ValueError, match="1 free values"):
        spec.build(np.zeros(2))


def test_classes_of_a_part_share_its_relative_rate():
    masks = np.array([[1, 1], [2, 1], [1, 4], [2, 2]], np.uint32)
    patterns = CharacterPatterns.from_characters(masks, 10, None)
    bones = parse_model("MK", "standard").resolve(patterns)
    spec = partitioned_spec([("bones", bones, 2), ("gene", parse_model("JC69", "dna"), 6)])
    model = spec.build(np.log([3.0]))  # bones three quarters of the changes
    rates = [float(part.category_rates[0]) for part in model.parts]
    np.testing.assert_allclose(rates, [3.0, 3.0, 1.0 / 3.0])


@pytest.mark.parametrize(
    ("text", "labels", "conditioned"),
    [
        ("MK", (), False),
        ("mkv+g4", ("alpha",), True),
        ("MK+G4{0.5}+ASC", (), True),
        ("MK+I+G4", ("alpha", "pinvar"), False),
        ("MKV+FQ", (), True),
        ("MKV+R2", ("weight(1)", "weight(2)", "rate(1)", "rate(2)"), True),
    ],
)
def test_model_strings(text, labels, conditioned):
    spec = parse_model(text, "standard")
    assert spec.labels == labels and spec.variable_only == conditioned and spec.name == text


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("MKV+I", "standard", "say nothing about invariant sites; leave out [+]I"),
        ("GTR+I+ASC", "dna", "say nothing about invariant sites"),
        ("MKV+ASC", "standard", "'[+]ASC' is part of MKV"),
        ("MK+F", "standard", "MK has equal frequencies; leave out [+]F"),
        ("MK+C20", "standard", "leave out [+]C"),
        ("MK{3}", "standard", "MK takes no values"),
        ("MKX", "standard", "unknown model 'MKX'; did you mean MK[?] known are MK, MKV"),
        ("LG", "standard", "LG is not for standard data; use one of MK, MKV"),
        ("HKY", "standard", "HKY is not for standard data"),
        ("MK", "dna", "MK is not for dna data"),
        ("MKV+G4", "protein", "MKV is not for protein data"),
        ("JC69+ASC+ASC", "dna", "'[+]ASC' is given twice"),
        ("JC69+ASC4", "dna", "unknown suffix '[+]ASC4'"),
        ("JC69+ASC{1}", "dna", "'[+]ASC' takes no values"),
    ],
)
def test_what_a_model_cannot_be(text, kind, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_model(text, kind)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("GTR+G4+ASC", "dna"),
        ("LG+F+ASC", "protein"),
        ("LG4X+ASC", "protein"),
        ("C10+ASC", "protein"),
    ],
)
def test_ascertainment_of_sequences(text, kind):
    spec = parse_model(text, kind)
    assert spec.variable_only and not parse_model(text.replace("+ASC", ""), kind).variable_only
    if not spec.empirical:
        assert spec.build().parts[0].variable_only
