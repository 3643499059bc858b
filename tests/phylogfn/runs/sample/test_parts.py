"""``phylogfn sample`` on partitioned data: parts, their models, links, and what is refused."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from gfncore.errors import UserError

_file = importlib.util.spec_from_file_location("small_runs", Path(__file__).parent / "test_main.py")
assert _file is not None and _file.loader is not None
runs = importlib.util.module_from_spec(_file)
_file.loader.exec_module(runs)

TAXA, SITES = [0, 1, 2, 5, 7], 240


@pytest.fixture(scope="module")
def divided(tmp_path_factory):
    """Alignment and output of a run by codon position with two linked parameters."""
    folder = tmp_path_factory.mktemp("parts")
    alignment = runs.write_fasta(folder / "six.fasta", TAXA, SITES)
    runs.run_small(
        alignment, folder / "out", model="HKY85+G4", codon_positions="1+2,3",
        link=["gamma_shape", "frequencies"], priors={"rates": "dirichlet:2"},
    )  # fmt: skip
    return alignment, folder / "out"


def parameters(output):
    """Mean of each parameter."""
    rows = csv.DictReader((output / "parameters.tsv").read_text().splitlines(), delimiter="\t")
    return {row["parameter"]: float(row["mean"]) for row in rows}


def test_parameters_of_the_parts(divided):
    found = parameters(divided[1])
    shared = ["pi(A){all}", "pi(C){all}", "pi(G){all}", "pi(T){all}", "alpha{all}"]
    assert list(found) == ["TL", "kappa{1}", "kappa{2}", *shared, "m{1}", "m{2}"]
    # every third column is slow (the file does not start with a whole codon); the mean rate is 1
    assert found["m{2}"] < 0.6 < found["m{1}"]
    np.testing.assert_allclose((2 * found["m{1}"] + found["m{2}"]) / 3, 1.0, atol=1e-3)
    summary = json.loads((divided[1] / "summary.json").read_text())
    assert summary["model"] == "HKY85+G4 (codon_position_1+2, codon_position_3)"
    head = (divided[1] / "posterior.run1.p").read_text().splitlines()[1].split("\t")
    assert head[3:] == list(found)


def test_the_evidence_of_one_part_is_that_of_the_whole(tmp_path, divided):
    """With all parameters linked, parts change nothing but the order of the columns."""
    alignment = divided[0]
    runs.run_small(alignment, tmp_path / "whole", model="K80+G4")
    runs.run_small(
        alignment, tmp_path / "parts", model="K80+G4", codon_positions="1,2,3", link=["all"]
    )
    summaries = [
        json.loads((tmp_path / n / "summary.json").read_text()) for n in ("whole", "parts")
    ]
    whole, parts = (summary["log_evidence"] for summary in summaries)
    error = max(summary["log_evidence_se"] for summary in summaries)
    assert parts == pytest.approx(whole, abs=4 * error + 0.02)


def test_models_of_parts_and_their_choice(tmp_path, divided):
    partition = tmp_path / "genes.txt"
    partition.write_text(f"DNA, first = 1-120\nHKY85, second = 121-{SITES}\n")
    runs.run_small(
        divided[0], tmp_path / "out", model="auto", partitions=str(partition),
        predictive=True, ancestral="consensus",
    )  # fmt: skip
    chosen = json.loads((tmp_path / "out" / "checkpoint" / "models.json").read_text())
    assert len(chosen) == 2 and chosen[1] == "HKY85" and chosen[0] != "auto"
    before = runs.contents(tmp_path / "out")
    options = {"model": "auto", "partitions": str(partition), "predictive": True}
    runs.run_small(divided[0], tmp_path / "out", resume=True, ancestral="consensus", **options)
    assert runs.contents(tmp_path / "out") == before
    partition.write_text(f"DNA, first = 1-119\nHKY85, second = 120-{SITES}\n")
    with pytest.raises(UserError, match="differs from the alignment"):
        runs.run_small(divided[0], tmp_path / "out", resume=True, ancestral="consensus", **options)
    runs.run_small(
        divided[0], tmp_path / "given", partitions=str(partition), model="K80",
        models={"second": "F81+F"},
    )  # fmt: skip
    summary = json.loads((tmp_path / "given" / "summary.json").read_text())
    assert summary["model"] == "K80 (first); F81+F (second)"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models": {"third": "K80"}, "codon_positions": "1,2,3"}, "there is no such part or type"),
        ({"models": {"a": "K80"}}, "the alignment is not divided into parts"),
        ({"models": {"dna": "LG"}, "codon_positions": "1,2,3"}, "LG is not for dna data"),
        ({"model": "LG", "codon_positions": "1,2,3"}, "LG is not for dna data"),
        ({"link": ["kappa"]}, "the alignment is not divided into parts"),
        ({"link": ["kappa"], "codon_positions": "1,2,3"}, "no two of the 3 parts have this"),
        ({"codon_positions": "1,2,3", "environment": "merging"}, "does not support partitions"),
        ({"partitions": "nowhere.txt"}, "is neither a file nor a partition"),
    ],
)
def test_wrong_settings_of_parts(tmp_path, divided, settings, message):
    with pytest.raises(UserError, match=message):
        runs.run_small(divided[0], tmp_path / "out", **settings)
