"""Names that a user may have meant."""

from __future__ import annotations

import pytest

from gfncore.text.hints import did_you_mean, nearest, without_far_hints


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("wieght", ("type", "weight"), "weight"),
        ("branch-priors", ("branch_prior", "budget"), "branch_prior"),
        ("mollogp", ("MolWt", "MolLogP"), "MolLogP"),
        ("logp_", ("logp",), "logp"),
        ("geometrical", ("geometric", "arithmetic"), "geometric"),
        ("qde", ("sa_score", "qed"), "qed"),
        ("lo", ("low", "high"), "low"),
        ("fragment", ("molecules/fragments.smi", "fragments"), "fragments"),
        ("run_type", ("ring_sizes", "max_rings", "reward"), None),
        ("colour", ("core", "config"), None),
        ("x", ("k", "alpha"), None),
        ("parameters", ("params_of_everything_else", "samples"), None),
        ("", ("a",), None),
    ],
)
def test_only_slips_are_near(name, known, expected):
    assert nearest(name, known) == expected
    assert did_you_mean(name, known) == (f"; did you mean '{expected}'?" if expected else "")


def test_far_hints_of_the_command_line_library_are_left_out():
    far = "Unknown option: --colour. Did you mean --core?"
    assert without_far_hints(far) == "Unknown option: --colour."
    near = 'Unknown command "sampel". Did you mean "sample"? Available commands: sample, score.'
    assert without_far_hints(near) == near
    far = 'Unknown command "draw". Did you mean "data"? Available commands: data.'
    assert without_far_hints(far) == 'Unknown command "draw". Available commands: data.'
    assert without_far_hints("anything else") == "anything else"
