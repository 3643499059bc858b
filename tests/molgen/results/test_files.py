"""The files of a run."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math

import numpy as np
import pytest
from rdkit import Chem

from gfncore.program.messages import Note
from molgen.output_names import OUTPUT_NAMES
from molgen.results.columns import LibraryColumns, front_rows
from molgen.results.files import (
    library_sdf,
    library_table,
    pareto_table,
    summarise,
    write_results,
)
from molgen.scoring.table import column_names

KEYS = (
    "software version command seed log_partition log_partition_se ess n_proposals n_samples "
    "n_unique n_scaffolds n_modes validity top10_mean top100_mean internal_diversity oracle_calls "
    "wall_seconds compile_seconds cpu_seconds peak_memory_bytes warnings extra"
).split()


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_all_files_are_written(tmp_path, make_library, run_facts):
    library = make_library()
    summary = write_results(tmp_path / "out", library, run_facts)
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"summary.json", "library.csv", "library.smi", "library.sdf", "report.html"}
    assert found <= set(OUTPUT_NAMES)
    stored = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert set(KEYS) <= set(stored)
    assert stored["n_unique"] == len(library) == summary["n_unique"]
    assert stored["n_samples"] == library.count.sum() and stored["n_proposals"] == 1000
    lines = (tmp_path / "out" / "library.smi").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == list(library.smiles)


def test_same_library_same_bytes(tmp_path, make_library, run_facts):
    for name in ("a", "b"):
        write_results(tmp_path / name, make_library(n_objectives=2), run_facts)
    for name in ("library.csv", "library.smi", "library.sdf", "pareto.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_table(make_library):
    library = make_library(log_probability_se=np.full(8, np.nan))
    rows = table(library_table(library))
    assert list(rows[0]) == [
        "smiles", "reward", "qed", "size",
        "log_probability", "log_probability_se", "scaffold", "count", "weight",
    ]  # fmt: skip
    assert [row["smiles"] for row in rows] == list(library.smiles)
    assert float(rows[0]["reward"]) == pytest.approx(library.reward[0], rel=1e-6)
    assert all(row["log_probability_se"] == "" for row in rows)
    assert {row["count"] for row in rows} == {"1"}


@pytest.mark.parametrize(
    ("components", "objectives", "expected"),
    [
        (["qed", "size"], [], ["qed", "size"]),
        (["reward", "reward_component"], [], ["reward_component_2", "reward_component"]),
        (["reward_component", "reward"], [], ["reward_component", "reward_component_2"]),
        (["remark", "name", "count"], [], [f"{n}_component" for n in ("remark", "name", "count")]),
        (
            ["score", "seed", "n_seeds"],
            [],
            [f"{n}_component" for n in ("score", "seed", "n_seeds")],
        ),
        (["qed", "qed_objective"], ["qed"], ["qed", "qed_objective", "qed_objective_2"]),
        (["reward"], ["reward"], ["reward_component", "reward_objective"]),
    ],
)
def test_columns_are_named_once(components, objectives, expected):
    named, more = column_names(components, objectives)
    assert [*named, *more] == expected


def test_labels_called_like_components_shift_no_column(make_library):
    library = make_library()
    column = next(iter(library.components.values()))
    groups = tuple(f"C{n}" for n in range(len(library)))
    library = dataclasses.replace(
        library, components={"R1": column, "R1_group": column}, labels={"R1": groups}
    )
    header, *rows = csv.reader(io.StringIO(library_table(library)))
    assert header[2:4] == ["R1", "R1_group"] and header[-1] == "R1_group_2"
    assert [row[-1] for row in rows] == list(groups)


def test_names_of_components_break_no_sd_file(make_library):
    library = make_library()
    column = next(iter(library.components.values()))
    odd = {"_Name": column, "a <b> c": 2 * column}
    text = library_sdf(dataclasses.replace(library, components=odd))
    supplier = Chem.SDMolSupplier()
    supplier.SetData(text)
    for number, molecule in enumerate(supplier):
        assert molecule.GetProp("_Name") == f"molgen-{number + 1}"
        assert float(molecule.GetProp("a (b) c")) == pytest.approx(
            2 * float(molecule.GetProp("component_Name"))
        )


def test_components_called_like_one_another_shift_no_column(make_library):
    library = make_library()
    column = next(iter(library.components.values()))
    odd = {"reward": 2 * column, "reward_component": 3 * column, "smiles": column}
    library = dataclasses.replace(library, components=odd)
    rows = list(csv.DictReader(io.StringIO(library_table(library))))
    assert list(rows[0])[:5] == [
        "smiles",
        "reward",
        "reward_component_2",
        "reward_component",
        "smiles_component",
    ]
    assert [row["smiles"] for row in rows] == list(library.smiles)
    assert [row["count"] for row in rows] == [str(n) for n in library.count]
    assert None not in rows[0]


def test_a_component_called_like_a_column_does_not_hide_it(make_library):
    library = make_library()
    library = dataclasses.replace(library, components={"reward": library.reward * 2})
    rows = table(library_table(library))
    assert float(rows[0]["reward_component"]) == pytest.approx(2 * float(rows[0]["reward"]))


def test_sdf_reads_back(make_library, tmp_path):
    library = make_library()
    path = tmp_path / "library.sdf"
    path.write_text(library_sdf(library))
    read = list(Chem.SDMolSupplier(str(path)))
    assert [Chem.MolToSmiles(molecule) for molecule in read] == list(library.smiles)
    assert float(read[0].GetProp("reward")) == pytest.approx(library.reward[0], rel=1e-6)
    assert read[0].GetProp("_Name") == "molgen-1"
    assert any(abs(x) > 0.1 for x in read[0].GetConformer().GetPositions().ravel())


def plain_front(objectives):
    return [
        i
        for i, one in enumerate(objectives)
        if not any((other >= one).all() and (other > one).any() for other in objectives)
    ]


def test_front(make_library):
    library = make_library(n_objectives=3, objective_names=("potency", "qed", "size"))
    assert front_rows(library).tolist() == plain_front(library.objectives)
    rows = table(pareto_table(library))
    assert [row["smiles"] for row in rows] == [library.smiles[i] for i in front_rows(library)]
    # the objective is what is to be large, the component what it is made of
    assert list(rows[0])[:3] == ["smiles", "reward", "potency"]
    assert {"qed", "qed_objective", "size", "size_objective"} <= rows[0].keys()
    best = front_rows(library)[0]
    assert float(rows[0]["qed_objective"]) == pytest.approx(library.objectives[best, 1], rel=1e-5)
    assert float(rows[0]["qed"]) == pytest.approx(library.components["qed"][best], rel=1e-5)


def test_molecules_without_all_objectives_are_not_on_the_front(make_library):
    library = make_library(n_objectives=2)
    library.objectives[0] = [2.0, np.nan]
    assert 0 not in front_rows(library)
    library.objectives[:] = np.nan
    assert len(front_rows(library)) == 0


def test_warnings(make_library, run_facts):
    facts = dataclasses.replace(
        run_facts,
        failures={"timed out": 2, "crashed": 1},
        symmetry="none",
        warnings=(Note("look", "Look."),),
    )
    warnings = summarise(make_library(), facts)["warnings"]
    assert warnings[0] == "Look."
    assert "the score of 3 of 9,000 molecules could not be computed (timed out: 2" in warnings[1]
    assert "no correction for symmetry" in warnings[2]
    assert summarise(make_library(), run_facts)["warnings"] == []


def test_an_empty_library_is_written_too(tmp_path, run_facts):
    from types import SimpleNamespace

    none = np.zeros(0)
    scores = SimpleNamespace(total=none, components={"qed": none}, objectives=none[:, None])
    summary = write_results(tmp_path / "out", LibraryColumns.build([], scores), run_facts)
    assert summary["n_unique"] == 0 and math.isnan(summary["top10_mean"])
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["top10_mean"] is None
    assert "The library is empty" in (tmp_path / "out" / "report.html").read_text()
