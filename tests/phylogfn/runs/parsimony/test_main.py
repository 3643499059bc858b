"""``phylogfn parsimony`` from an alignment to its files: right, repeatable, resumable.

Runs are made with little effort, so that one takes a few seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gfncore.errors import UserError
from gfncore.program.progress import Progress
from phylogfn.alignments.characters import parsimony_characters
from phylogfn.cli.main import main
from phylogfn.parsimony.scores import ParsimonyScorer
from phylogfn.runs.parsimony.effort import ParsimonyEffort
from phylogfn.settings import ParsimonySettings
from phylogfn.trees.newick import parse_newick

ROOT = Path(__file__).resolve().parents[4]

SMALL = ParsimonyEffort(
    cycle_steps=10,
    settling_steps=20,
    pilot_draws=100,
    trajectories=24,
    compared=20,
    checkpoint_seconds=0.0,
    accurate_share=0.1,
    accurate=1.0,
    missed=5.0,
    fewest_draws=200,
    most_draws=400,
)
# what says how long something took, or when; and the settings, which name the folder
TIMED = {"summary.json", "provenance.json", "report.html", "train.jsonl", "checkpoint", "run.toml"}


class Interrupted(Progress):
    """Ends the process, or this thread, at one of its phases or updates."""

    def __init__(self, at, kill=False):
        super().__init__("phylogfn", quiet=True)
        self.left = at
        self.kill = kill

    def update(self, **figures):
        self.left -= 1
        if self.left < 0:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise KeyboardInterrupt
        super().update(**figures)


def run_small(alignment, output, progress=None, effort=SMALL, **settings):
    """One run with little effort; the number of updates of its progress."""
    from phylogfn.runs.parsimony.main import run_parsimony

    class Counting(Progress):
        updates = 0

        def update(self, **figures):
            self.updates += 1
            super().update(**figures)

    progress = progress or Counting("phylogfn", quiet=True)
    given = {"samples": 60, "budget": "10m", "seed": 3, "threads": 1, "quiet": True}
    with progress:
        run_parsimony(
            ParsimonySettings(alignment=str(alignment), output=output, **given | settings),
            progress,
            effort,
        )
    return getattr(progress, "updates", 0)


def write_fasta(path, taxa, sites):
    """Some taxa and sites of the primates."""
    records = (ROOT / "data" / "primates.fasta").read_text().split(">")[1:]
    with path.open("w") as file:
        for i in taxa:
            name, _, body = records[i].partition("\n")
            file.write(f">{name}\n{''.join(body.split())[:sites]}\n")
    return path


def contents(output):
    """The files that a seed determines."""
    return {path.name: path.read_bytes() for path in output.iterdir() if path.name not in TIMED}


def summary_of(output):
    return json.loads((output / "summary.json").read_text())


def rows_of(output):
    lines = (output / "trees.tsv").read_text().splitlines()
    head = lines[0].split("\t")
    return [dict(zip(head, line.split("\t"), strict=True)) for line in lines[1:]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Alignment, output and number of updates of one uninterrupted run of six taxa."""
    folder = tmp_path_factory.mktemp("parsimony")
    alignment = write_fasta(folder / "six.fasta", [0, 1, 2, 5, 7, 11], 60)
    updates = run_small(alignment, folder / "out", temperature=(0.5, 1.0))
    return alignment, folder / "out", updates


def test_all_files_are_there(finished):
    _, output, _ = finished
    from phylogfn.output_names import PARSIMONY_OUTPUT_NAMES

    assert {path.name for path in output.iterdir()} == set(PARSIMONY_OUTPUT_NAMES) - {"tensorboard"}
    steps = [json.loads(x)["step"] for x in (output / "train.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[-1] >= 3 * SMALL.cycle_steps + SMALL.settling_steps
    page = (output / "report.html").read_text()
    several = summary_of(output)["n_best_trees"] > 1
    titles = ("Strict consensus", "Majority-rule consensus") if several else ("Most parsimonious",)
    for words in (*titles, "ratchet", "Fitch"):
        assert words in page
    assert "http-equiv" not in page and "<script" not in page


def test_learning_rates_fall_to_zero_at_the_end(finished):
    _, output, _ = finished
    metrics = [json.loads(line) for line in (output / "train.jsonl").read_text().splitlines()]
    rates = np.array([one["learning_rate"] for one in metrics if "learning_rate" in one])
    n = SMALL.settling_steps
    np.testing.assert_array_equal(rates[:-n], rates[0])
    np.testing.assert_allclose(rates[-n:], rates[0] * np.arange(n, 0, -1) / n)


@pytest.mark.parametrize(("taken", "falling", "hurried"), [(0.0, 4, False), (0.4, 3, True)])
def test_the_last_steps_keep_to_the_clock(monkeypatch, taken, falling, hurried):
    """Four steps are to fit into 1 s of a budget of 10 s; one takes `taken` seconds."""
    from types import SimpleNamespace

    from phylogfn.runs.parsimony import train as training

    monkeypatch.setattr(training, "divergence", lambda *_: [0.0])
    factors, clock = [], [7.0]

    def teach(trainer, own_draws):
        assert own_draws
        factors.append(trainer.rate_factor)
        clock[0] += taken
        return {}

    run = SimpleNamespace(
        settings=SimpleNamespace(budget_seconds=10.0),
        effort=ParsimonyEffort(settling_steps=4),
        seconds=lambda state: clock[0],
        progress=SimpleNamespace(update=lambda **_: None),
    )
    state = SimpleNamespace(
        trainer=SimpleNamespace(rate_factor=1.0),
        table=SimpleNamespace(parents=None, scores=None),
        divergence=None,
    )
    curriculum, metrics = SimpleNamespace(teach=teach), SimpleNamespace(write=lambda _: None)
    assert training._settle(run, state, None, curriculum, metrics) is hurried
    assert len(factors) == falling
    assert factors[0] == 1.0 and (np.diff(factors) < 0.0).all() and factors[-1] > 0.0
    assert state.trainer.rate_factor == 1.0 and state.divergence == [0.0]


def test_files_are_the_enumerated_truth(finished, primates, all_topologies):
    _, output, _ = finished
    summary, rows = summary_of(output), rows_of(output)
    data = parsimony_characters(primates([0, 1, 2, 5, 7, 11], 60))
    scorer = ParsimonyScorer(data, 1)
    scores = scorer.scores(all_topologies(6))
    best = scores.min()
    assert summary["best_score"] == best
    assert summary["n_best_trees"] == (scores == best).sum() and summary["all_best_trees"]
    trees = list(parse_newick((output / "best_trees.nwk").read_text(), "best_trees.nwk"))
    assert len(trees) == summary["n_best_trees"]
    assert len(rows) == summary["n_trees"] == len({row["newick"] for row in rows})
    told = np.array([float(row["score"]) for row in rows])
    assert (np.diff(told) >= 0).all()
    assert [row["optimal"] for row in rows] == ["yes" if s == best else "no" for s in told]
    within = (told <= best + summary["excess"]).sum()
    assert within == (scores <= best + summary["excess"]).sum()
    for sample in summary["temperatures"]:
        t = sample["temperature"]
        log_z = np.logaddexp.reduce((best - scores) / t)
        assert sample["log_partition"] == pytest.approx(
            log_z, abs=4 * sample["log_partition_se"] + 0.02
        )
        p = np.exp((best - told) / t - log_z)
        written = [float(row[f"probability_T{t:g}"]) for row in rows]
        np.testing.assert_allclose(written, p, rtol=0.1)
        assert sum(int(row[f"drawn_T{t:g}"]) for row in rows) == 60
    means = [sample["mean_score"] for sample in summary["temperatures"]]
    assert means == sorted(means)


def test_the_same_seed_gives_the_same_files(finished, tmp_path):
    alignment, output, _ = finished
    run_small(alignment, tmp_path / "again", temperature=(0.5, 1.0), threads=2)
    assert contents(output) == contents(tmp_path / "again")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(finished, tmp_path, share):
    alignment, output, updates = finished
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run_small(alignment, out, Interrupted(int(share * (updates - 1))), temperature=(0.5, 1.0))
    assert not (out / "summary.json").exists()
    run_small(alignment, out, resume=True, temperature=(0.5, 1.0))
    assert contents(output) == contents(out)


def test_a_killed_run_goes_on_as_if_nothing_had_been(finished, tmp_path):
    alignment, output, updates = finished
    out = tmp_path / "out"
    code = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('runs', sys.argv[1])\n"
        "runs = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(runs)\n"
        "from pathlib import Path\n"
        "progress = runs.Interrupted(int(sys.argv[4]), kill=True)\n"
        "runs.run_small(sys.argv[2], Path(sys.argv[3]), progress, temperature=(0.5, 1.0))\n"
    )
    arguments = [__file__, str(alignment), str(out), str(updates - 2)]
    result = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, check=False)
    assert result.returncode == -signal.SIGKILL
    assert (out / "checkpoint" / "checkpoint.json").exists()
    run_small(alignment, out, resume=True, temperature=(0.5, 1.0))
    assert contents(output) == contents(out)


def test_another_alignment_under_the_same_name_is_refused(finished, tmp_path):
    alignment = shutil.copy(finished[0], tmp_path / "matrix.fasta")
    shutil.copytree(finished[1], tmp_path / "out")
    alignment.write_text(alignment.read_text().replace("A", "C", 1))
    with pytest.raises(UserError, match="differs from the alignment with which the run in"):
        run_small(alignment, tmp_path / "out", resume=True, temperature=(0.5, 1.0))


def test_an_outgroup_roots_every_tree(finished, tmp_path):
    alignment, out = finished[0], shutil.copytree(finished[1], tmp_path / "out")
    run_small(alignment, out, resume=True, outgroup=("Lemur_catta",))
    trees = (out / "best_trees.nwk").read_text().splitlines()
    trees += [row["newick"] for row in rows_of(out)]
    trees += [(out / name).read_text() for name in ("consensus.nwk", "consensus.strict.nwk")]
    assert all(tree.startswith("(Lemur_catta,(") for tree in trees) and len(trees) > 3
    assert summary_of(out)["extra"]["outgroup_best_trees_without_clade"] == 0
    assert "outgroup (Lemur_catta)" in (out / "report.html").read_text()


def test_other_temperatures_of_a_trained_run(finished, tmp_path):
    alignment, _, _ = finished
    out = tmp_path / "out"
    run_small(alignment, out)
    run_small(alignment, out, resume=True, temperature=(0.7,))
    assert [sample["temperature"] for sample in summary_of(out)["temperatures"]] == [0.7]
    with pytest.raises(UserError, match=r"trained for 0\.5 to 1\.5 steps"):
        run_small(alignment, out, resume=True, temperature=(5.0,))


def test_merging_and_gaps_as_a_state(tmp_path):
    alignment = write_fasta(tmp_path / "five.fasta", [0, 2, 5, 7, 11], 80)
    out = tmp_path / "out"
    run_small(alignment, out, environment="merging", gaps="state")
    summary = summary_of(out)
    assert summary["environment"] == "merging" and summary["gaps"] == "state"
    assert summary["temperatures"][0]["trained"]


def test_a_morphological_matrix(tmp_path):
    out = tmp_path / "out"
    run_small(ROOT / "data" / "invented.nex", out, budget="12s")
    summary = summary_of(out)
    assert summary["best_score"] == 99.5 and summary["n_best_trees"] == 1
    assert summary["n_ordered"] == 6 and summary["n_excluded"] == 1
    assert "Farris" in (out / "report.html").read_text()
    best = (out / "best_trees.nwk").read_text()
    assert len(list(parse_newick(best, "best_trees.nwk"))) == 1
    # one tree is its own consensus, but for the supports
    strict = (out / "consensus.strict.nwk").read_text()
    assert strict.replace(")1", ")") == (out / "consensus.nwk").read_text().replace(")1", ")")
    assert strict.count("(") == best.count("(")
    assert "parsimony-settings-unused" not in summary["warning_codes"]


def test_many_taxa_are_searched_without_a_sampler(tmp_path):
    alignment = write_fasta(tmp_path / "six.fasta", [0, 1, 2, 5, 7, 11], 60)
    run_small(alignment, tmp_path / "out", effort=replace(SMALL, largest_trained=5))
    summary = summary_of(tmp_path / "out")
    assert "no-sampler" in summary["warning_codes"]
    (sample,) = summary["temperatures"]
    assert not sample["trained"] and sample["n_samples"] == 60 and sample["ess"] is None


def test_four_taxa(tmp_path):
    path = tmp_path / "four.fasta"
    path.write_text(">a\nAACCG\n>b\nAACGT\n>c\nGGCCG\n>'d d'\nGGAGT\n")
    run_small(path, tmp_path / "out")
    assert summary_of(tmp_path / "out")["n_best_trees"] >= 1


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (None, [], "no such file"),
        (">a\nAACC\n>b\nAACC\n>c\nGGTT\n", [], "at least 4"),
        (">a\nAC\n>b\nAC\n>c\nGT\n>d\nGT\n", ["--temperature", "0"], "--temperature: 0 is out"),
        (
            ">a\nAC\n>b\nAC\n>c\nGT\n>d\nGT\n",
            ["--temperature", "warm"],
            "not a list of temperatures",
        ),
        (">a\nAC\n>b\nAC\n>c\nGT\n>d\nGT\n", ["--excess", "-1"], "--excess: -1 is out of range"),
    ],
)
def test_malformed_input_is_one_line_and_code_2(tmp_path, text, options, words, capsys):
    path = tmp_path / "x.fasta"
    if text is not None:
        path.write_text(text)
    out = tmp_path / "out"
    assert main(["parsimony", str(path), "-o", str(out), "--budget", "5s", *options]) == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if "error" in line]
    assert len(errors) == 1 and errors[0].startswith("phylogfn: error: ")
    assert words in errors[0]
    assert "Traceback" not in captured.err and captured.out == ""
    assert not (out / "summary.json").exists()


def test_temperatures_in_all_their_forms():
    def given(value):
        return ParsimonySettings(alignment="a", output=Path("o"), temperature=value).temperature

    assert given("2,0.5") == given(["2", "0.5"]) == given([2, 0.5, 2.0]) == (0.5, 2.0)
    assert given(1) == (1.0,)


def test_help_starts_without_heavy_imports():
    code = (
        "import sys\nfrom phylogfn.cli.main import main\nmain(['parsimony', '--help'])\n"
        "assert not {'torch', 'numba', 'numpy', 'pydantic'} & set(sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "phylogfn parsimony primates.fasta -o out" in result.stdout


@pytest.mark.parametrize(("n_taxa", "n_topologies"), [(5, 15), (9, 135135)])
def test_constant_data_give_all_trees_the_same_probability(tmp_path, n_taxa, n_topologies):
    path = tmp_path / "constant.fasta"
    path.write_text("".join(f">t{i}\nACGT\n" for i in range(n_taxa)))
    run_small(path, tmp_path / "out", temperature=[1.0, 2.0])
    summary = summary_of(tmp_path / "out")
    assert summary["best_score"] == 0
    assert "no-informative-characters" in summary["warning_codes"]
    for one in summary["temperatures"]:
        assert one["log_partition"] == pytest.approx(np.log(n_topologies), abs=0.1)
    rows = rows_of(tmp_path / "out")
    assert {row["score"] for row in rows} == {"0"}
    drawn = sum(int(row["drawn_T1"]) > 0 for row in rows)
    assert drawn == 15 if n_taxa == 5 else drawn > 55
    for row in rows:
        assert float(row["probability_T2"]) == pytest.approx(1 / n_topologies, rel=0.1)
