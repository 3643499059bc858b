"""References."""

from __future__ import annotations

import pytest

from molgen.citations import (
    ALWAYS_CITED,
    REFERENCES,
    bibtex,
    methods_of_settings,
    plain_text,
    references,
)


@pytest.mark.parametrize(
    ("settings", "keys"),
    [
        ({"reward": "qed"}, ("symmetry", "qed")),
        ({"reward": "osimertinib_mpo", "symmetry": "none"}, ("guacamol",)),
        (
            {
                "objective": "order_preserving",
                "scoring": {
                    "component": [{"type": "sa_score", "name": "mine"}, {"type": "qed"}],
                    "filter": [{"type": "alert_catalog", "params": {"catalogs": ["PAINS"]}}],
                },
            },
            ("symmetry", "order_preserving", "sa_score", "qed", "pains"),
        ),
    ],
)
def test_methods_of_settings(settings, keys):
    assert methods_of_settings(settings) == keys


def test_all_are_written():
    assert set(ALWAYS_CITED) <= set(REFERENCES)
    for key, reference in references(REFERENCES).items():
        text, entry = plain_text(reference), bibtex(key, reference)
        assert str(reference.year) in text and reference.title in text
        assert entry.count("{") == entry.count("}")
