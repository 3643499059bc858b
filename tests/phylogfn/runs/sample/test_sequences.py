"""Posterior predictive checks as the commands make them, on one short run."""

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

ROOT = Path(__file__).resolve().parents[4]
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

    given = {"samples": 60, "budget": "10m", "seed": 3, "threads": 1, "quiet": True}
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
    assert run(alignment, output, predictive=True) == 0
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
