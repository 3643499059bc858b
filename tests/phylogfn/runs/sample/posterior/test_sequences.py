"""Posterior predictive checks and ancestral sequences as the commands make them, on a short run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gfncore.program.progress import Progress
from phylogfn.cli.main import main
from phylogfn.runs.sample.effort import SampleEffort
from phylogfn.settings import SampleSettings

ROOT = Path(__file__).resolve().parents[5]
TAXA = ("Tarsius_syrichta", "Lemur_catta", "Homo_sapiens", "Pongo", "Macaca_fuscata", "M_sylvanus")

SMALL = SampleEffort(
    collapsed=replace(SampleEffort().collapsed, cycle_steps=20, pilot=200, most_draws=1000),
    walk_most=20,
    cycle_rounds=2,
    own_draws_every=4,
    fewest_draws=500,
)


def run(alignment, output, **settings):
    from phylogfn.runs.sample.main import run_sample

    given = {
        "model": "JC69",
        "branch_prior": "exp:10",
        "samples": 60,
        "budget": "10m",
        "seed": 3,
        "threads": 1,
        "quiet": True,
    }
    with Progress("phylogfn", quiet=True) as progress:
        settings = SampleSettings(alignment=str(alignment), output=output, **given | settings)
        return run_sample(settings, progress, SMALL)


@pytest.fixture(scope="module")
def alignment(tmp_path_factory):
    """Six of the primates, 200 sites."""
    path = tmp_path_factory.mktemp("sequences") / "six.fasta"
    with path.open("w") as file:
        for record in (ROOT / "data" / "primates.fasta").read_text().split(">")[1:]:
            name, _, body = record.partition("\n")
            if name in TAXA:
                file.write(f">{name}\n{''.join(body.split())[:200]}\n")
    return path


@pytest.fixture(scope="module")
def finished(alignment, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "out"
    clades = alignment.parent / "clades.txt"
    clades.write_text(
        "macaques: Macaca_fuscata, M_sylvanus\nHomo_sapiens, Pongo\nodd: Pongo, Lemur_catta\n"
    )
    assert run(alignment, output, predictive=True, ancestral=str(clades)) == 0
    return output


def test_checks_are_in_the_summary_and_the_report(finished):
    summary = json.loads((finished / "summary.json").read_text())
    found = summary["extra"]["predictive"]
    assert found["simulations"] == 1000
    names = ["composition", "multinomial_log_likelihood", "variable_sites", "parsimony_score"]
    assert list(found)[1:] == names
    for name in names:
        figures = found[name]
        assert figures["lower_95"] < figures["mean"] < figures["upper_95"]
        assert 0.0 <= figures["p_value"] <= 1.0
    # equal rates on data whose rates differ
    assert found["variable_sites"]["p_value"] > 0.9
    extreme = [name for name in names if not 0.005 < found[name]["p_value"] < 0.995]
    told = [text for text in summary["warnings"] if "posterior predictive" in text]
    assert len(told) == bool(extreme)
    page = (finished / "report.html").read_text()
    assert "Posterior predictive checks" in page and "Bollback" in page


def test_ancestral_sequences_are_written(finished, alignment):
    import pandas

    table = pandas.read_csv(finished / "ancestral.tsv", sep="\t", comment="#")
    assert list(table.columns) == ["clade", "site", "state", "p_A", "p_C", "p_G", "p_T"]
    summary = json.loads((finished / "summary.json").read_text())
    counts = summary["extra"]["ancestral"]["draws_with_clade"]
    assert list(counts) == ["macaques", "clade2", "odd"]
    present = [name for name in counts if counts[name]]
    assert present[0] == "macaques" and counts["macaques"] > 50 >= counts["odd"]
    assert summary["extra"]["ancestral"]["draws"] == 60
    assert list(table["clade"].unique()) == present
    p = table[["p_A", "p_C", "p_G", "p_T"]].to_numpy()
    assert p.sum(axis=1) == pytest.approx(1.0, abs=3e-5)
    sequences = dict(
        record.split("\n")[:2]
        for record in (finished / "ancestral.fasta").read_text().split(">")[1:]
    )
    assert list(sequences) == present
    given = dict(record.split("\n")[:2] for record in alignment.read_text().split(">")[1:])
    for name in present:
        rows = table[table["clade"] == name]
        assert rows["site"].tolist() == list(range(1, 201))
        best = rows[["p_A", "p_C", "p_G", "p_T"]].max(axis=1)
        expected = rows["state"].where(best >= 0.8, "N").tolist()
        text = sequences[name]
        assert sum(a != b for a, b in zip(text, expected, strict=True)) <= 1  # .8, rounded
    # where two close relatives agree, so does their ancestor
    two = zip(given["Macaca_fuscata"], given["M_sylvanus"], sequences["macaques"], strict=True)
    agree = [(a, ancestor) for a, b, ancestor in two if a == b]
    assert sum(a == ancestor for a, ancestor in agree) > 0.99 * len(agree) > 150
    head = (finished / "ancestral.tsv").read_text().splitlines()[0]
    assert head.endswith("; taxa: Macaca_fuscata,M_sylvanus")
    page = (finished / "report.html").read_text()
    assert "Ancestral sequences" in page and "Huelsenbeck" in page


def test_a_clade_that_no_draw_contains_is_a_warning(finished):
    summary = json.loads((finished / "summary.json").read_text())
    if summary["extra"]["ancestral"]["draws_with_clade"]["odd"] == 0:
        assert any(
            "contains 1 of the clades of --ancestral (odd)" in w for w in summary["warnings"]
        )


@pytest.mark.parametrize("outgroup", [(), ("Lemur_catta",)])
def test_clades_of_the_consensus(finished, alignment, tmp_path, outgroup):
    shutil.copytree(finished, tmp_path / "out")
    settings = {"ancestral": "consensus", "outgroup": outgroup, "predictive": False}
    assert run(alignment, tmp_path / "out", resume=True, **settings) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    counts = summary["extra"]["ancestral"]["draws_with_clade"]
    taxa = [
        set(line.partition("taxa: ")[2].split(","))
        for line in (tmp_path / "out" / "ancestral.tsv").read_text().splitlines()
        if line.startswith("#")
    ]
    assert list(counts) == [f"clade{i}" for i in range(1, len(taxa) + 1)]
    n_splits = (tmp_path / "out" / "consensus.nwk").read_text().count("(") - 1
    if outgroup:
        assert max(map(len, taxa)) == 5 and not any("Lemur_catta" in clade for clade in taxa)
        assert len(taxa) == n_splits
    else:
        assert max(map(len, taxa)) <= 3 and len(taxa) == n_splits
    assert min(counts.values()) > 15


def test_wrong_clades_are_one_line(alignment, tmp_path, capsys):
    clades = tmp_path / "clades.txt"
    for text, words in (
        ("Homo_sapiens, Pongo\nPongo, Macaca_fuscat\n", "line 2: 'Macaca_fuscat' is not one of"),
        ("Pongo\n", "line 1: 1 of 6 taxa are given"),
        (None, "missing.txt"),
    ):
        if text is not None:
            clades.write_text(text)
        name = clades if text is not None else tmp_path / "missing.txt"
        command = ["sample", str(alignment), "-o", str(tmp_path / "x"), "--ancestral", str(name)]
        assert main([*command, "--quiet"]) == 2
        message = capsys.readouterr().err.strip().splitlines()
        assert len(message) == 1 and words in message[0]
    assert not (tmp_path / "x").exists()


def test_checks_can_be_added_to_a_run_and_change_nothing_else(finished, alignment, tmp_path):
    output = tmp_path / "out"
    assert run(alignment, output) == 0
    assert "predictive" not in json.loads((output / "summary.json").read_text())["extra"]
    kept = ("trees.nwk", "topologies.tsv", "clades.tsv", "consensus.nwk")
    for name in kept:
        assert (output / name).read_bytes() == (finished / name).read_bytes()
    shutil.copytree(output, tmp_path / "again")
    assert run(alignment, tmp_path / "again", resume=True, predictive=True) == 0
    summary = json.loads((tmp_path / "again" / "summary.json").read_text())
    assert summary["extra"]["predictive"]["simulations"] == 1000
    assert "predictive = true" in (tmp_path / "again" / "run.toml").read_text()


def test_a_value_that_is_not_true_or_false_is_one_line(alignment, tmp_path, capsys):
    config = tmp_path / "settings.toml"
    config.write_text('predictive = "perhaps"\n')
    command = ["sample", str(alignment), "-o", str(tmp_path / "x"), "--config", str(config)]
    assert main([*command, "--quiet"]) == 2
    message = capsys.readouterr().err.strip().splitlines()
    assert len(message) == 1 and "predictive" in message[0]
