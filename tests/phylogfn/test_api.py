"""`phylogfn.sample`: the results of the command line, and nothing left behind."""

from __future__ import annotations

import doctest
import json
import logging
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import phylogfn
import phylogfn.api
import phylogfn.warm_up  # libraries add filters of warnings when they are imported
from gfncore.errors import UserError
from gfncore.policies import Backbone
from phylogfn.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "model": "HKY85",
    "samples": 100,
    "budget": "5m",
    "runs": 1,
    "seed": 3,
    "threads": 2,
}
# of time, memory, place and start
VARIABLE = {"provenance.json", "report.html", "summary.json", "train.jsonl"}
MEASURED = {"command", "wall_seconds", "compile_seconds", "cpu_seconds", "peak_memory_bytes"}


@pytest.fixture(scope="module")
def alignment(tmp_path_factory):
    """Six of the primates, 300 sites: the file."""
    rows = (ROOT / "data" / "primates.fasta").read_text().split(">")[1:7]
    texts = [row.partition("\n")[::2] for row in rows]
    path = tmp_path_factory.mktemp("alignment") / "six.fasta"
    path.write_text("".join(f">{n}\n{s.replace(chr(10), '')[:300]}\n" for n, s in texts))
    return path


def state_of_process():
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    torch_state = torch.get_num_threads(), torch.get_rng_state().tolist()
    return handlers, torch_state, warnings.filters[:], os.getcwd(), sys.argv[:], logging.root.level


@pytest.fixture(scope="module")
def found(alignment, tmp_path_factory):
    """A posterior, the reports of its run, and what the run left in the temporary directory."""
    Backbone(1)  # loads PyTorch Geometric, which leaves a temporary folder and filters of warnings
    reports = []
    folder = tmp_path_factory.mktemp("temporary")
    before = state_of_process()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        patch.chdir(alignment.parent)
        posterior = phylogfn.sample("six.fasta", progress=reports.append, **SETTINGS)
    assert state_of_process() == before
    return posterior, reports, list(folder.iterdir())


def test_public_names():
    assert [name for name in phylogfn.__all__ if not hasattr(phylogfn, name)] == []
    assert set(phylogfn.__all__) <= set(dir(phylogfn))
    code = "import sys, phylogfn; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    heavy = {"torch", "numba", "numpy", "scipy", "pandas", "Bio", "pydantic"}
    assert not heavy & set(done.stdout.split())


def test_the_files_are_those_of_the_command_line(found, alignment, tmp_path, monkeypatch):
    posterior, _, _ = found
    monkeypatch.chdir(alignment.parent)
    options = [f"--{name}={value}" for name, value in SETTINGS.items()]
    assert main(["sample", "six.fasta", "-o", str(tmp_path / "command"), "-q", *options]) == 0
    posterior.write(tmp_path / "function")
    names = {path.name for path in (tmp_path / "command").iterdir()}
    assert {path.name for path in (tmp_path / "function").iterdir()} == names - {"checkpoint"}
    for name in names - VARIABLE - {"checkpoint"}:
        ours, theirs = (tmp_path / kind / name for kind in ("function", "command"))
        assert ours.read_bytes() == theirs.read_bytes(), name
    ours, theirs = (
        json.loads((tmp_path / kind / "summary.json").read_text())
        for kind in ("function", "command")
    )
    for summary in (ours, theirs):
        del summary["extra"]["training_seconds_by_part"]
    assert ours["command"] == (
        "phylogfn.sample('six.fasta', model='HKY85', samples=100, budget='5m', runs=1, seed=3, "
        "threads=2)"
    )
    assert {k: v for k, v in ours.items() if k not in MEASURED} == {
        k: v for k, v in theirs.items() if k not in MEASURED
    }
    assert "Course of the run" in (tmp_path / "function" / "report.html").read_text()


def test_a_written_directory_is_one_of_a_run(found, alignment, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(alignment.parent)
    found[0].write(tmp_path / "out")
    assert main(["cite", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out
    again = ["sample", "--config", str(tmp_path / "out" / "run.toml"), "-q"]
    assert main([*again, "-o", str(tmp_path / "again")]) == 0
    for name in ("trees.nwk", "topologies.tsv", "run.toml"):
        text = (tmp_path / "out" / name).read_text()
        assert (tmp_path / "again" / name).read_text() == text


def test_nothing_is_left(found):
    posterior, _, left = found
    assert left == []
    assert (posterior.n_taxa, posterior.n_draws) == (6, 100)
    assert posterior.verdict == "unconfirmed"
    assert posterior.parameters()["parameter"].tolist()[0] == "TL"


def test_reports_follow_the_run(found):
    posterior, reports, _ = found
    phases = list(dict.fromkeys(report.phase for report in reports))
    assert phases[0] == "reading six.fasta"
    assert phases.index("training the sampler") < phases.index("drawing branch lengths")
    assert [report.seconds for report in reports] == sorted(report.seconds for report in reports)
    last = [report for report in reports if report.log_evidence is not None][-1]
    assert (last.log_evidence, last.se) == (posterior.log_evidence, posterior.log_evidence_se)
    assert last.ess == posterior.ess


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"alignment": "none.fasta"}, "none.fasta: no such file"),
        ({"modle": "JC69"}, "unknown keyword 'modle'; did you mean 'model'"),
        ({"budget": "soon"}, "--budget: "),
        ({"model": "JC70"}, "JC70"),
        ({"environment": "growing"}, "'growing' is not offered"),
        ({"length_bins": "64:1e-5:2"}, "needs --branch-lengths bins"),
    ],
)
def test_errors_are_those_of_the_command_line(alignment, tmp_path, monkeypatch, settings, words):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = state_of_process()
    given = {"alignment": alignment, **settings}
    with pytest.raises(phylogfn.UserError, match=words):
        phylogfn.sample(given.pop("alignment"), **given)
    assert list(tmp_path.iterdir()) == []
    assert state_of_process() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_callback_may_end_the_run(alignment, tmp_path, monkeypatch, error):
    def stop(report):
        if report.phase == "training the sampler" and report.detail:
            raise error

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = state_of_process()
    with pytest.raises(error):
        phylogfn.sample(alignment, progress=stop, **SETTINGS)
    assert list(tmp_path.iterdir()) == []
    assert state_of_process() == before


def test_messages_are_logged_and_not_printed(alignment, caplog, capfd):
    caplog.set_level(logging.INFO, logger="phylogfn")
    posterior = phylogfn.sample(str(alignment), **SETTINGS)
    assert capfd.readouterr() == ("", "")
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert tuple(told) == posterior.warnings
    assert "training the sampler" in caplog.messages


def test_examples_of_the_docstring(monkeypatch):
    monkeypatch.chdir(ROOT / "data")
    found = doctest.testmod(phylogfn.api)
    assert found.failed == 0 and found.attempted == 5


def test_a_constraint_and_an_outgroup(alignment, tmp_path):
    constraint = tmp_path / "clades.nwk"
    constraint.write_text("((Homo_sapiens,Gorilla),Pan,Lemur_catta);")
    given = SETTINGS | {"model": "JC69", "budget": "20s", "samples": 20}
    posterior = phylogfn.sample(
        alignment, constraint=constraint, outgroup=["Lemur_catta", "Tarsius_syrichta"], **given
    )
    for tree in posterior.trees():
        found = tree.to_ete3()
        assert len(found.children) == 2
        found.prune(["Homo_sapiens", "Gorilla", "Pan", "Lemur_catta"])
        found.set_outgroup("Lemur_catta")
        assert found.check_monophyly(["Homo_sapiens", "Gorilla"], "name")[0]
    assert posterior.facts.constraint.n_free == 2
    constraint.write_text("Homo_sapiens Gorila")
    with pytest.raises(UserError, match="'Gorila' is not one of the 6 taxa; did you mean"):
        phylogfn.sample(alignment, constraint=constraint, **given)
    with pytest.raises(UserError, match="did you mean 'Lemur_catta'"):
        phylogfn.sample(alignment, outgroup="Lemur_cata", **given)
