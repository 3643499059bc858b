"""The measures of the PhyloGFN paper on runs of a second or two, by both environments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.phylogfn.paper_measures import main, measure
from gfncore.program.progress import Progress
from phylogfn.runs.sample.effort import SampleEffort
from phylogfn.runs.sample.main import run_sample
from phylogfn.settings import SampleSettings

ROOT = Path(__file__).resolve().parents[2]
AIMS = replace(SampleEffort().collapsed, cycle_steps=20, pilot=200)
SMALL = SampleEffort(collapsed=AIMS, walk_most=10, cycle_rounds=1, fewest_cycles=1)


@pytest.fixture(scope="module", params=["insertion", "merging"])
def output(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output directory of a run on seven short sequences."""
    folder = tmp_path_factory.mktemp("measures")
    records = (ROOT / "data" / "primates.fasta").read_text().split(">")[1:8]
    pairs = [record.partition("\n") for record in records]
    text = "".join(f">{name}\n{''.join(body.split())[:150]}\n" for name, _, body in pairs)
    (folder / "seven.fasta").write_text(text)
    with Progress("phylogfn", quiet=True) as progress:
        settings = SampleSettings(
            alignment=str(folder / "seven.fasta"),
            output=folder / "out",
            model="JC69",
            branch_prior="exp:10",
            samples=20,
            budget="10m",
            runs=1,
            threads=1,
            environment=request.param,
        )
        run_sample(settings, progress, SMALL)
    return folder / "out"


def test_evidence_and_correlations(output: Path) -> None:
    import json

    found = measure(output, weights=100, repeats=5, trees=250, seed=2)
    summary = json.loads((output / "summary.json").read_text())
    # five means of 100 weights each, around the evidence that the run states
    assert found.log_evidence == pytest.approx(summary["log_evidence"], abs=0.25)
    assert 0.0 < found.deviation < 0.5
    # random actions lead to topologies that the policy by itself hardly ever draws
    assert len(found.correlations) == 3 and found.topologies[0] < found.topologies[2]
    assert all(r > 0.4 for r in found.correlations)


def test_block_is_printed(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(output), "--weights", "50", "--repeats", "3", "--trees", "250"]) == 0
    text = capsys.readouterr().out
    assert "| run |" in text and "r, 30% random" in text and "| out |" in text
