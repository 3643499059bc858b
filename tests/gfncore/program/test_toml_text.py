"""TOML text that reads back."""

from __future__ import annotations

import math
import tomllib
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfncore.program.toml_text import toml_text

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
scalars = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(keys, values, max_size=4))
def test_reads_back_as_the_same(document):
    assert tomllib.loads(toml_text(document)) == document


def test_tables_are_written_as_people_write_them():
    text = toml_text(
        {
            "seed": 1,
            "left_out": None,
            "scoring": {
                "component": [{"type": "qed", "params": {"a": 1.5}}, {"type": "x"}],
                "aggregation": "mean",
            },
        }
    )
    assert text == (
        'seed = 1\n\n[scoring]\naggregation = "mean"\n\n[[scoring.component]]\ntype = "qed"\n\n'
        '[scoring.component.params]\na = 1.5\n\n[[scoring.component]]\ntype = "x"\n'
    )


def test_values_that_json_lacks():
    read = tomllib.loads(toml_text({"a": math.inf, "b": math.nan, "c": date(2024, 2, 3)}))
    assert read["a"] == math.inf and math.isnan(read["b"]) and read["c"] == date(2024, 2, 3)
    with pytest.raises(TypeError, match="cannot be written as TOML"):
        toml_text({"a": [None]})
