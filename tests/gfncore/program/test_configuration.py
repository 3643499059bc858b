"""The text of ``run.toml`` reads back."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfncore.program import configuration
from gfncore.program.configuration import RunSettings, resolve_settings, settings_toml


class TableSettings(RunSettings):
    """Settings with a table, as those of a score are."""

    COMMAND: ClassVar[str] = "program sample"

    output: Path = Path("out")
    seed: int = 1
    elements: tuple[str, ...] = ("C", "N")
    left_out: str | None = None
    scoring: dict[str, Any] = {}


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
SCALARS = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_table_reads_back_as_the_same(table):
    assert tomllib.loads(settings_toml(TableSettings(scoring=table)))["scoring"] == table


def test_it_is_written_as_people_write_it():
    component = {"type": "a long name" * 8, "params": {"a": 1.5, "none": None}}
    table = {"component": [component, {"type": "x"}], "aggregation": "mean"}
    head, text = settings_toml(TableSettings(scoring=table)).split("\n", 1)
    assert head.startswith("#") and head.endswith("program sample --config run.toml -o OUT")
    assert text == (
        'seed = 1\nelements = [\n    "C",\n    "N",\n]\n\n[scoring]\naggregation = "mean"\n\n'
        f'[[scoring.component]]\ntype = "{"a long name" * 8}"\n\n'
        '[scoring.component.params]\na = 1.5\n\n[[scoring.component]]\ntype = "x"\n'
    )


def test_the_style_of_earlier_versions_reads_as_the_same(tmp_path):
    table = {"component": [{"type": "qed", "params": {"a": [1, 2.5]}}, {"type": "x"}]}
    file = tmp_path / "run.toml"
    file.write_text(
        'seed = 7\nelements = ["C", "N"]\n\n[[scoring.component]]\ntype = "qed"\n\n'
        '[scoring.component.params]\na = [1, 2.5]\n\n[[scoring.component]]\ntype = "x"\n'
    )
    earlier = resolve_settings(TableSettings, {"output": tmp_path / "a"}, file)
    assert earlier.scoring == table
    file.write_text(settings_toml(earlier))
    assert resolve_settings(TableSettings, {"output": tmp_path / "a"}, file) == earlier


def test_none_within_a_list_is_refused():
    with pytest.raises(TypeError, match="not TOML serializable"):
        settings_toml(TableSettings(scoring={"a": [None]}))


def test_memory_is_that_of_the_machine_or_of_its_control_group(tmp_path, monkeypatch):
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(configuration, "_GROUP_LIMIT", limit)
    assert configuration.available_memory() == machine  # no control group
    limit.write_text("max\n")
    assert configuration.available_memory() == machine
    limit.write_text("1048576\n")
    assert configuration.available_memory() == 2**20
