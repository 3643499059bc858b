"""Model strings: what is free, what is fixed, and the messages for what cannot be read."""

from __future__ import annotations

import numpy as np
import pytest

from gfncore.errors import UserError
from phylogfn.alignments.patterns import SitePatterns
from phylogfn.models import empirical_frequencies, parse_model


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("JC69", ()),
        ("JC+I", ("pinvar",)),
        ("K80", ("kappa",)),
        ("F81", ("pi(A)", "pi(C)", "pi(G)", "pi(T)")),
        ("hky85+g", ("kappa", "pi(A)", "pi(C)", "pi(G)", "pi(T)", "alpha")),
        ("HKY85+F+G4+I", ("kappa", "alpha", "pinvar")),
        ("HKY85{2}+FQ", ()),
        ("GTR+FQ", tuple(f"r({a}<->{b})" for a, b in ("AC", "AG", "AT", "CG", "CT", "GT"))),
        ("JC69+G1", ()),
        ("trn+FQ", ("r(A<->G)", "r(C<->T)", "r(A<->C,A<->T,C<->G,G<->T)")),
        ("K81", ("r(A<->G,C<->T)", "r(A<->T,C<->G)", "r(A<->C,G<->T)")),
        ("TIM+F", ("r(A<->G)", "r(A<->T,C<->G)", "r(C<->T)", "r(A<->C,G<->T)")),
        ("TVMe", ("r(A<->C)", "r(A<->G,C<->T)", "r(A<->T)", "r(C<->G)", "r(G<->T)")),
        ("SYM", tuple(f"r({a}<->{b})" for a, b in ("AC", "AG", "AT", "CG", "CT", "GT"))),
        ("010212+FQ", ("r(A<->C,A<->T)", "r(A<->G,C<->T)", "r(C<->G,G<->T)")),
        ("121121+F", ("kappa",)),
        ("777777+FQ", ()),
    ],
)
def test_free_parameters(text, labels):
    assert parse_model(text, "dna").labels == labels


def test_fixed_values_are_used():
    spec = parse_model("HKY85{kappa=2.1}+F{0.1,0.2,0.3,0.4}+G8{0.5}+I{0.2}", "dna")
    model = spec.build()
    assert spec.n_free == 0 and model.n_categories == 8 and model.invariant == 0.2
    np.testing.assert_allclose(model.frequencies, [0.1, 0.2, 0.3, 0.4])
    assert model.exchangeabilities[0, 2] == 2.1 and model.exchangeabilities[0, 1] == 1.0
    gtr = parse_model("GTR{1,2,3,4,5}", "dna").build()
    np.testing.assert_array_equal(gtr.exchangeabilities[np.triu_indices(4, 1)], [1, 2, 3, 4, 5, 1])


def test_labels_say_which_value_is_which():
    rates = parse_model("GTR{CT=5,AG=2,GT=1,AC=1,AT=3,r(C<->G)=4}", "dna").build()
    plain = parse_model("GTR{1,2,3,4,5,1}", "dna").build()
    np.testing.assert_array_equal(rates.exchangeabilities, plain.exchangeabilities)
    without_last = parse_model("GTR{CT=5,AG=2,AC=1,AT=3,CG=4}", "dna").build()
    np.testing.assert_array_equal(without_last.exchangeabilities, plain.exchangeabilities)
    for text in ("F81{T=0.4,G=0.3,C=0.2,A=0.1}", "HKY85{2}+F{pi(T)=0.4,g=0.3,c=0.2,a=0.1}"):
        frequencies = parse_model(text, "dna").build().frequencies
        np.testing.assert_allclose(frequencies, [0.1, 0.2, 0.3, 0.4])
    gamma = parse_model("JC69+G4{alpha=0.5}+I{pinvar=0.2}", "dna").build()
    assert gamma.invariant == 0.2 and gamma.n_categories == 4


def test_rates_of_classes_may_have_the_labels_of_their_pairs():
    plain = parse_model("TIM{2.5,0.6,4.1}+FQ", "dna").build()
    upper = plain.exchangeabilities[np.triu_indices(4, 1)]
    np.testing.assert_array_equal(upper, [1.0, 2.5, 0.6, 0.6, 4.1, 1.0])
    for text in ("TIM{CT=8.2,AG=5,AT=1.2,GT=2}+FQ", "TIM{CT=4.1,AG=2.5,CG=0.6,AT=0.6}+FQ"):
        np.testing.assert_allclose(parse_model(text, "dna").build().Q, plain.Q)


def test_names_with_a_dot():
    assert parse_model("q.PFAM+G4{0.5}", "protein").family == "Q.pfam"
    with pytest.raises(UserError, match=r"unknown model 'Q.pfan'; did you mean Q.pfam\?"):
        parse_model("Q.pfan", "protein")


def test_protein_frequencies():
    assert parse_model("LG+FO", "protein").n_free == 19
    equal = parse_model("WAG+FQ", "protein").build()
    np.testing.assert_allclose(equal.frequencies, 0.05)
    with pytest.raises(ValueError, match="resolve"):
        parse_model("LG+F", "protein").build()


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("HKI85", "dna", ["HKI85", "did you mean HKY85"]),
        ("WAGG+G4", "protein", ["did you mean WAG"]),
        ("LG", "dna", ["not for dna", "GTR"]),
        ("GTR", "protein", ["not for protein", "LG"]),
        ("HKY85+X", "dna", ["+X", "+G[categories]"]),
        ("HKY85+G0", "dna", ["1 to 64"]),
        ("HKY85+G4+G8", "dna", ["twice"]),
        ("HKY85+G4{0}", "dna", ["positive shape"]),
        ("HKY85+I{1}", "dna", ["below 1"]),
        ("HKY85{a}", "dna", ["'a'", "not a number"]),
        ("HKY85{-1}", "dna", ["-1 is out of range", "at least 0"]),
        ("HKY85{1,2}", "dna", ["one positive kappa", "2 values"]),
        ("GTR{1,2}", "dna", ["AC AG AT CG CT GT"]),
        ("JC69+F", "dna", ["F81"]),
        ("SYM+FO", "dna", ["equal frequencies", "use GTR"]),
        ("TIMe+F", "dna", ["equal frequencies", "use TIM"]),
        ("TIMM", "dna", ["did you mean TIM"]),
        ("TN93", "protein", ["not for protein"]),
        ("TN93{2}", "dna", ["AG CT AC,AT,CG,GT", "found 1 values"]),
        ("TN93{AG=2,AC=1}", "dna", ["no value of CT"]),
        ("TN93{AG=2,CT=3,AC=1,AT=2}", "dna", ["AC and AT have the same rate", "1 and 2"]),
        ("TN93{AG=2,CT=3,TA=1}", "dna", ["'ta' is none"]),
        ("01001", "dna", ["unknown model", "six digits"]),
        ("010010", "protein", ["unknown model"]),
        ("F81{1,2,3,4}", "dna", ["sum 10"]),
        ("LG{2}", "protein", ["no values"]),
        ("HKY85{alpha=2}", "dna", ["kappa", "'alpha' is none"]),
        ("F81{A=0.1,0.2,G=0.3,T=0.4}", "dna", ["A, C, G, T", "one value has none"]),
        ("F81{A=0.1,A=0.2,G=0.3,T=0.4}", "dna", ["one comes twice"]),
        ("GTR{AC=1,AG=2,AT=3,CG=4,GT=5}", "dna", ["no value of CT"]),
        ("HKY85{2}+FO{0.4,0.3,0.2,0.1}", "dna", ["+FO", "no values", "+F{...}"]),
        ("HKY85{2}+FQ{0.4,0.3,0.2,0.1}", "dna", ["+FQ", "no values"]),
        ("F81{0.1,0.2,0.3,0.4}+F", "dna", ["twice"]),
        ("", "dna", ["as in"]),
    ],
)
def test_what_cannot_be_read_is_one_line(text, kind, words):
    with pytest.raises(UserError) as caught:
        parse_model(text, kind)
    message = str(caught.value)
    assert "\n" not in message and f"model '{text}'" in message
    for word in words:
        assert word in message


def test_empirical_frequencies_share_out_ambiguity():
    # A: 2, C: 1, one R (A or G), one gap. With G unseen, R is A: 3/4 and 1/4 at the fixed point.
    masks = np.array([[1, 2], [1, 5], [15, 15]], dtype=np.uint32)
    weights = np.ones(2)
    frequencies = empirical_frequencies(masks, weights, 4)
    np.testing.assert_allclose(frequencies[:2], [0.75 - 2e-4, 0.25], atol=1e-5)
    np.testing.assert_allclose(frequencies[2:], 1e-4)
    nothing = empirical_frequencies(np.full((3, 2), 15, np.uint32), weights, 4)
    np.testing.assert_allclose(nothing, 0.25)


def test_resolve_counts_the_alignment():
    masks = np.array([[1, 2, 4, 8], [1, 1, 4, 8]], dtype=np.uint32)
    patterns = SitePatterns(masks, np.ones(4), np.arange(4, dtype=np.int32), 4)
    spec = parse_model("HKY85+F", "dna").resolve(patterns)
    np.testing.assert_allclose(spec.build().frequencies, [3 / 8, 1 / 8, 1 / 4, 1 / 4])
    free = parse_model("F81", "dna")
    start = free.split(free.start(patterns))["frequencies"]
    np.testing.assert_allclose(start, [3 / 8, 1 / 8, 1 / 4, 1 / 4])
