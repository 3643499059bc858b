"""``phylogfn sample`` from an alignment to its files: right, repeatable, resumable.

Runs are made with little effort, so that one takes a second or two.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp

from gfncore.errors import UserError
from gfncore.program.output import locked_output
from gfncore.program.progress import Progress
from phylogfn.cli.main import main
from phylogfn.runs.sample.effort import SampleEffort
from phylogfn.settings import SampleSettings
from phylogfn.trees.building import parsed_splits
from phylogfn.trees.constraints.splits import Constraints
from phylogfn.trees.newick import parse_newick

ROOT = Path(__file__).resolve().parents[4]

SMALL = SampleEffort(
    collapsed=replace(SampleEffort().collapsed, cycle_steps=20, pilot=200, most_draws=1000),
    with_lengths=replace(SampleEffort().with_lengths, cycle_steps=20, pilot=200, most_draws=1000),
    walk_most=20,
    cycle_rounds=2,
    own_draws_every=4,
    lengths_judged=30,
    checkpoint_seconds=0.0,
    fewest_draws=500,
    fewest_length_draws=3200,
    most_length_draws=6400,
)
GOOD = ">a\nACGT\n>b\nACGA\n>c\nACGG\n>d\nACGA\n"
# what says how long something took, or when
TIMED = {"summary.json", "provenance.json", "report.html", "train.jsonl", "checkpoint"}


class Interrupted(Progress):
    """Ends the process, or this thread, at one of its updates."""

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
    from phylogfn.runs.sample.main import run_sample

    class Counting(Progress):
        updates = 0

        def update(self, **figures):
            self.updates += 1
            super().update(**figures)

    progress = progress or Counting("phylogfn", quiet=True)
    given = {
        "model": "JC69",
        "branch_prior": "exp:10",
        "samples": 60,
        "budget": "10m",
        "runs": 1,
        "seed": 3,
        "threads": 1,
        "quiet": True,
    }
    with progress:
        run_sample(
            SampleSettings(alignment=str(alignment), output=output, **given | settings),
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


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Alignment, output and number of updates of one uninterrupted run of six taxa."""
    folder = tmp_path_factory.mktemp("sampling")
    alignment = write_fasta(folder / "six.fasta", [0, 1, 2, 5, 7, 11], 150)
    updates = run_small(alignment, folder / "out")
    return alignment, folder / "out", updates


def contents(output):
    """The files that a seed determines."""
    return {path.name: path.read_bytes() for path in output.iterdir() if path.name not in TIMED}


def test_all_files_are_there(finished):
    _, output, _ = finished
    from phylogfn.output_names import OUTPUT_NAMES

    of_more_runs = {name for name in OUTPUT_NAMES if re.search("run[3-9]", name)}
    optional = {"tensorboard", "ancestral.tsv", "ancestral.fasta", "models.tsv"}
    expected = set(OUTPUT_NAMES) - optional - of_more_runs
    assert {path.name for path in output.iterdir()} == expected
    trees = list(parse_newick((output / "trees.nwk").read_text(), "trees.nwk"))
    assert len(trees) == 60
    lines = (output / "train.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == sorted(steps) and steps[-1] >= 3 * SMALL.collapsed.cycle_steps


def test_summary_states_the_enumerated_evidence(finished, primates, make_reward, all_topologies):
    _, output, _ = finished
    summary = json.loads((output / "summary.json").read_text())
    reward, every = make_reward(primates([0, 1, 2, 5, 7, 11], 150)), all_topologies(6)
    draws = reward.draw_lengths(every, reward.closed_form(every), 2000, seed=1)
    log_r = logsumexp(draws.log_weights, axis=1) - np.log(2000)
    exact = logsumexp(log_r) + reward.log_topology_prior
    share = np.exp(log_r - logsumexp(log_r))
    relative = np.exp(draws.log_weights - log_r[:, None])
    exact_error = np.sqrt((share**2 * relative.var(axis=1) / 2000).sum())
    error = np.hypot(summary["log_evidence_se"], exact_error)
    assert error < 0.05
    assert summary["log_evidence"] == pytest.approx(exact, abs=4 * error)
    assert summary["extra"]["known_share"] > 0.9
    assert summary["extra"]["sampler_temperature"] == 1.0
    # draws of topologies hardly matter where these are summed or most are effective
    assert summary["ess"] > 0.5 * summary["n_proposals"] or summary["extra"]["known_share"] > 0.99
    assert summary["pareto_k"] == summary["extra"]["branch_length_pareto_k"]
    assert 0 < summary["ess"] <= summary["n_proposals"]
    assert summary["likelihood_evaluations"] > 1000
    # the table of topologies is the enumerated posterior
    rows = (output / "topologies.tsv").read_text().splitlines()
    head = rows[0].split("\t")
    found = np.array([float(row.split("\t")[head.index("probability")]) for row in rows[1:]])
    expected = np.sort(share)[::-1][: len(found)]
    assert np.abs(found - expected).sum() < 0.02


def test_the_same_seed_gives_the_same_files(finished, tmp_path):
    alignment, output, _ = finished
    run_small(alignment, tmp_path / "again")
    first, second = contents(output), contents(tmp_path / "again")
    assert first.keys() == second.keys()
    first.pop("run.toml"), second.pop("run.toml")
    assert [name for name in first if first[name] != second[name]] == []


def test_threads_do_not_change_the_files_and_seeds_do(finished, tmp_path):
    alignment, output, _ = finished
    run_small(alignment, tmp_path / "two", threads=2)
    first, second = contents(output), contents(tmp_path / "two")
    first.pop("run.toml"), second.pop("run.toml")
    assert [name for name in first if first[name] != second[name]] == []
    run_small(alignment, tmp_path / "other", seed=4)
    assert contents(tmp_path / "other")["trees.nwk"] != first["trees.nwk"]


def untimed(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if "seconds" not in k} for line in lines]


@pytest.mark.parametrize("share", [0.0, 0.35, 0.7, 0.99])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(finished, tmp_path, share):
    alignment, output, updates = finished
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run_small(alignment, out, Interrupted(int(share * (updates - 1))))
    assert not (out / "summary.json").exists()
    run_small(alignment, out, resume=True)
    first, second = contents(output), contents(out)
    first.pop("run.toml"), second.pop("run.toml")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert untimed(out / "train.jsonl") == untimed(output / "train.jsonl")


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
        "runs.run_small(sys.argv[2], Path(sys.argv[3]), progress, threads=2)\n"
    )
    arguments = [__file__, str(alignment), str(out), str(updates // 2)]
    result = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, check=False)
    assert result.returncode == -signal.SIGKILL
    assert (out / "checkpoint" / "checkpoint.json").exists()
    run_small(alignment, out, resume=True)
    first, second = contents(output), contents(out)
    first.pop("run.toml"), second.pop("run.toml")
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.parametrize(
    ("lengths", "backward"),
    [
        ("collapsed", "learned"),
        pytest.param("lognormal", "uniform", marks=[pytest.mark.verification, pytest.mark.long]),
        pytest.param("collapsed", "uniform", marks=[pytest.mark.verification, pytest.mark.long]),
        pytest.param("lognormal", "learned", marks=[pytest.mark.verification, pytest.mark.long]),
        pytest.param("bins", "learned", marks=[pytest.mark.verification, pytest.mark.long]),
        pytest.param("bins", "uniform", marks=[pytest.mark.verification, pytest.mark.long]),
    ],
)
def test_merging_finds_the_same_evidence_and_goes_on(finished, tmp_path, lengths, backward):
    alignment, output, _ = finished
    given = {"environment": "merging", "branch_lengths": lengths, "backward_policy": backward}
    updates = run_small(alignment, tmp_path / "whole", **given)
    whole = json.loads((tmp_path / "whole" / "summary.json").read_text())
    other = json.loads((output / "summary.json").read_text())
    error = np.hypot(whole["log_evidence_se"], other["log_evidence_se"])
    assert whole["log_evidence"] == pytest.approx(other["log_evidence"], abs=4 * error)
    assert whole["ess"] > 50
    assert whole["extra"]["branch_lengths"] == lengths
    with (tmp_path / "whole" / "posterior.run1.p").open() as file:
        head, *rows = [line.split() for line in file][1:]
    assert head[1:] == ["LnL", "LnPr", "TL"] and np.isfinite(np.array(rows, float)).all()
    with pytest.raises(KeyboardInterrupt):
        run_small(alignment, tmp_path / "part", Interrupted(updates // 2), **given)
    run_small(alignment, tmp_path / "part", resume=True, threads=2, **given)
    first, second = contents(tmp_path / "whole"), contents(tmp_path / "part")
    first.pop("run.toml"), second.pop("run.toml")
    assert [name for name in first if first[name] != second[name]] == []


def test_free_parameters_and_a_small_budget(tmp_path):
    alignment = write_fasta(tmp_path / "five.fasta", [0, 2, 5, 7, 11], 200)
    run_small(alignment, tmp_path / "out", model="HKY85+G4", budget="1s")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "fixed-parameters" not in summary["warning_codes"]
    assert summary["model"] == "HKY85+G4"
    assert list(summary["parameters"])[:2] == ["TL", "kappa"] and "alpha" in summary["parameters"]


def test_too_little_memory_is_told_before_the_search(finished, tmp_path, monkeypatch):
    from phylogfn.runs.sample import run

    monkeypatch.setattr(run, "available_memory", lambda: 2**20)
    with pytest.raises(UserError, match=r"model 'GTR\+G64'.* GiB of memory .*fewer categories"):
        run_small(finished[0], tmp_path / "out", model="GTR+G64")


def test_a_budget_that_ends_before_the_burn_in_gives_results(tmp_path, monkeypatch):
    from phylogfn.runs.sample.run import SampleRun

    alignment = write_fasta(tmp_path / "seven.fasta", range(7), 200)
    monkeypatch.setattr(SampleRun, "seconds", lambda run, state=None: 2.0)
    effort = replace(SMALL, sharp_enough=2.0)
    run_small(alignment, tmp_path / "out", effort=effort, budget="1s")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    for words in (
        "the walk reached its time limit (35% of 1s) during burn-in",
        "training reached its time limit",
        "ended before sampler temperatures above 1 were tried",
    ):
        assert any(words in text for text in summary["warnings"]), words
    assert 8 <= summary["n_proposals"] <= SMALL.fewest_draws and summary["ess"] > 0


def test_a_narrow_prior_on_a_parameter_is_nearly_its_value(finished, tmp_path):
    alignment, _, _ = finished
    summaries = {}
    for name, settings in {
        "fixed": {"model": "K80{3}"},
        "narrow": {"model": "K80", "priors": {"kappa": "gamma:90000,30000"}},
    }.items():
        run_small(alignment, tmp_path / name, **settings)
        summaries[name] = json.loads((tmp_path / name / "summary.json").read_text())
    evidence = {name: summary["log_evidence"] for name, summary in summaries.items()}
    errors = {name: summary["log_evidence_se"] for name, summary in summaries.items()}
    allowed = 0.01 + 4.0 * np.hypot(errors["fixed"], errors["narrow"])
    assert evidence["narrow"] == pytest.approx(evidence["fixed"], abs=allowed)
    written = tomllib.loads((tmp_path / "narrow" / "run.toml").read_text())
    assert written["priors"] == {"kappa": "gamma:90000,30000"}


def test_another_alignment_under_the_same_name_is_refused(finished, tmp_path):
    alignment = shutil.copy(finished[0], tmp_path / "five.fasta")
    shutil.copytree(finished[1], tmp_path / "out")
    text = alignment.read_text()
    alignment.write_text(text.replace("A", "C", 1))
    with pytest.raises(UserError, match="differs from the alignment with which the run in"):
        run_small(alignment, tmp_path / "out", resume=True)
    alignment.write_text(text)
    run_small(alignment, tmp_path / "out", resume=True)


def test_an_outgroup_may_be_given_when_a_run_is_resumed(finished, tmp_path):
    alignment, before, _ = finished
    out = shutil.copytree(before, tmp_path / "out")
    names = [line[1:] for line in alignment.read_text().splitlines() if line.startswith(">")]
    run_small(alignment, out, resume=True, outgroup=(f"{names[1]},{names[0]}",))
    summary = json.loads((out / "summary.json").read_text())
    extra = summary["extra"]
    assert extra["outgroup"] == f"{names[1]}, {names[0]}"
    trees = (out / "trees.nwk").read_text().splitlines()
    rooted = sum(f"({names[0]}:" in line and line.count("((") > 0 for line in trees)
    assert 0 < rooted <= len(trees) == 60
    lacking = extra["outgroup_draws_without_clade"]
    told = [text for text in summary["warnings"] if "is not a clade in" in text]
    assert len(told) == (lacking > 0)
    assert 0.0 < extra["outgroup_probability"] <= 1.0
    assert 0.0 <= extra["outgroup_probability_se"] < 0.2
    assert (out / "posterior.run1.t").read_text().count("[&R]") == 30


def enumerated(reward, trees):
    """Log evidence of a uniform prior over some topologies, by draws of branch lengths."""
    draws = reward.draw_lengths(trees, reward.closed_form(trees), 2000, seed=1)
    log_r = logsumexp(draws.log_weights, axis=1) - np.log(2000)
    return logsumexp(log_r) - np.log(len(trees))


@pytest.mark.parametrize(
    ("environment", "clade"), [("insertion", (1, 2)), ("insertion", (2, 3)), ("merging", (0, 4))]
)
def test_the_evidence_of_a_constraint_is_the_enumerated_one(
    finished, tmp_path, primates, make_reward, all_topologies, environment, clade
):
    alignment = finished[0]
    names = [line[1:] for line in alignment.read_text().splitlines() if line.startswith(">")]
    (tmp_path / "clade.txt").write_text(" ".join(names[taxon] for taxon in clade))
    out = tmp_path / "out"
    settings = {"environment": environment, "constraint": str(tmp_path / "clade.txt")}
    run_small(alignment, out, **settings)
    summary = json.loads((out / "summary.json").read_text())
    every = all_topologies(6)
    split = sum(1 << taxon for taxon in clade)
    held = Constraints.from_splits(6, [split]).hold(every)
    assert held.sum() == 15
    reward = make_reward(primates([0, 1, 2, 5, 7, 11], 150))
    exact = enumerated(reward, every[held])
    error = max(summary["log_evidence_se"], 0.005)
    assert summary["log_evidence"] == pytest.approx(exact, abs=4 * error)
    extra = summary["extra"]
    assert np.exp(extra["log_n_topologies"]) == pytest.approx(15)
    assert extra["constraint_splits"] == 1 and extra["constraint_free_taxa"] == 0
    rows = (out / "topologies.tsv").read_text().splitlines()[1:]
    assert 1 < len(rows) <= 15
    trees = [row.split("\t")[-1] for row in rows] + (out / "trees.nwk").read_text().splitlines()
    for tree in parse_newick("\n".join(trees), "trees"):
        found = parsed_splits(tree, {name: number for number, name in enumerate(names)}, "trees")
        assert split in {mask if not split & 1 else 0b111111 ^ mask for mask in found}
    # the file may move, but its splits may not change
    moved = (tmp_path / "clade.txt").rename(tmp_path / "other.nwk")
    run_toml = (out / "run.toml").read_text().replace("clade.txt", "other.nwk")
    (out / "run.toml").write_text(run_toml)
    others = [name for taxon, name in enumerate(names) if taxon not in clade]
    moved.write_text(f"(({','.join(names[taxon] for taxon in clade)}),{','.join(others)});")
    before = contents(out)
    run_small(alignment, out, resume=True, **settings | {"constraint": str(moved)})
    assert contents(out)["trees.nwk"] == before["trees.nwk"]
    moved.write_text(f"(({','.join(others[:2])}),{','.join(names[t] for t in clade)},{others[2]});")
    with pytest.raises(UserError, match="differs from the constraint with which the run"):
        run_small(alignment, out, resume=True, **settings | {"constraint": str(moved)})


def test_a_constraint_of_one_topology_and_a_free_taxon(finished, tmp_path):
    alignment = finished[0]
    names = [line[1:] for line in alignment.read_text().splitlines() if line.startswith(">")]
    a, b, c, d, e, f = names
    path = tmp_path / "tree.nwk"
    path.write_text(f"(({a},{b}),({c},{d}),({e},{f}));")
    run_small(alignment, tmp_path / "one", constraint=str(path))
    rows = (tmp_path / "one" / "topologies.tsv").read_text().splitlines()[1:]
    assert len(rows) == 1 and rows[0].split("\t")[1].startswith("1.")
    path.write_text(f"(({a},{c}),({b},{d}));")
    run_small(alignment, tmp_path / "free", constraint=str(path))
    summary = json.loads((tmp_path / "free" / "summary.json").read_text())
    assert np.exp(summary["extra"]["log_n_topologies"]) == pytest.approx(35)
    assert summary["extra"]["constraint_free_taxa"] == 2


def test_trees_with_lengths_under_a_constraint(finished, tmp_path):
    alignment = finished[0]
    names = [line[1:] for line in alignment.read_text().splitlines() if line.startswith(">")]
    (tmp_path / "clade.txt").write_text(f"{names[2]}, {names[4]}")
    run_small(
        alignment,
        tmp_path / "out",
        environment="merging",
        branch_lengths="lognormal",
        constraint=str(tmp_path / "clade.txt"),
    )
    for tree in parse_newick((tmp_path / "out" / "trees.nwk").read_text(), "trees"):
        assert 0b010100 in parsed_splits(tree, {n: i for i, n in enumerate(names)}, "trees")


def test_two_runs_in_one_directory_are_refused(finished, tmp_path):
    with locked_output(tmp_path / "out"), pytest.raises(UserError, match="in use by another run"):
        run_small(finished[0], tmp_path / "out")


def test_more_time_goes_on_from_where_the_budget_ended(tmp_path, monkeypatch):
    from phylogfn.runs.sample.run import SampleRun
    from phylogfn.runs.sample.state import read_state

    alignment = write_fasta(tmp_path / "seven.fasta", range(7), 200)
    # never accurate enough; a cycle takes a second; no checkpoint but the last
    effort = replace(
        SMALL,
        collapsed=replace(SMALL.collapsed, effective_share=2.0),
        train_share=0.99,
        checkpoint_seconds=1e9,
        # the length of blocks goes by the true cost of a step, and the budget here by cycles
        round_share=1e9,
    )
    monkeypatch.setattr(
        SampleRun, "seconds", lambda run, state=None: float(state.cycles if state else 0)
    )
    part, whole = tmp_path / "part", tmp_path / "whole"
    for out, budget, resume, cycles in (
        (part, "3s", False, 3),
        (part, "6s", True, 6),
        (whole, "6s", False, 6),
    ):
        run_small(alignment, out, effort=effort, budget=budget, resume=resume)
        summary = json.loads((out / "summary.json").read_text())
        assert any(f"budget of {budget}" in warning for warning in summary["warnings"])
        assert f'budget = "{budget}"' in (out / "run.toml").read_text()
        saved = read_state(out / "checkpoint")
        assert saved is not None
        assert saved.extra["cycles"] == summary["extra"]["training_cycles"] == cycles
    assert contents(part)["trees.nwk"] == contents(whole)["trees.nwk"]
    assert contents(part)["topologies.tsv"] == contents(whole)["topologies.tsv"]


def test_a_cycle_longer_than_the_budget_is_cut_short(tmp_path, monkeypatch):
    from phylogfn.runs.sample.run import SampleRun

    alignment = write_fasta(tmp_path / "seven.fasta", range(7), 200)
    # a step takes a second, and a cycle the whole day
    endless = replace(SMALL.collapsed, cycle_steps=100_000)
    effort = replace(SMALL, collapsed=endless, train_share=0.99)
    monkeypatch.setattr(
        SampleRun, "seconds", lambda run, state=None: float(state.steps if state else 0)
    )
    run_small(alignment, tmp_path / "out", effort=effort, budget="30s")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["extra"]["training_steps"] == 30
    assert any(
        "training reached its time limit (99% of 30s)" in text for text in summary["warnings"]
    )


@pytest.mark.verification
@pytest.mark.long
def test_a_posterior_of_which_little_is_known_ends_without_a_false_warning(tmp_path):
    alignment = write_fasta(tmp_path / "twelve.fasta", [0, 1, 2], 300)
    last = alignment.read_text().rpartition("\n>")[2].partition("\n")[2]
    with alignment.open("a") as file:
        for copy in range(9):  # (2 * 9 - 3)!! ways to place them, all about equal
            file.write(f">copy{copy}\n{last}")
    # of the aims, that the known topologies are not lost alone decides
    aims = replace(SMALL.collapsed, effective_share=0.0, standard_error=9.0)
    run_small(alignment, tmp_path / "out", effort=replace(SMALL, collapsed=aims))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["extra"]["known_share"] < 0.05  # -log: 3 nats and more
    assert summary["extra"]["kl_known_to_sampler"] < 1.0
    # the small cycles of this test teach slowly: 12 to 20 of them, but they end before the budget
    assert summary["extra"]["training_cycles"] < 60
    assert not {"sampler-misses-topologies", "phase-time-limit", "few-draws"} & set(
        summary["warning_codes"]
    )


def test_four_taxa_and_identical_sequences(tmp_path):
    alignment = tmp_path / "x.fasta"
    alignment.write_text(">a\nACGTACGT\n>b b\nACGTACGT\n>c\nACGTACGA\n>'d'\nNNNNNNNN\n")
    run_small(alignment, tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert np.isfinite(summary["log_evidence"])


def test_data_that_say_nothing_give_the_prior_of_a_constraint(tmp_path):
    alignment, clade = tmp_path / "x.fasta", tmp_path / "clade.txt"
    alignment.write_text("".join(f">{name}\nACGTAC\n" for name in "abcdef"))
    clade.write_text("b d e")
    run_small(alignment, tmp_path / "out", samples=100, constraint=str(clade))
    rows = (tmp_path / "out" / "topologies.tsv").read_text().splitlines()[1:]
    probabilities, errors = np.array([row.split("\t")[1:3] for row in rows], float).T
    assert len(rows) == 9
    assert (np.abs(probabilities - 1 / 9) < 4 * errors).all()


@pytest.mark.parametrize(("sites", "log_evidence"), [("ACGTAC", None), ("-----", 0.0)])
def test_data_that_say_nothing_give_the_prior(tmp_path, sites, log_evidence):
    alignment = tmp_path / "x.fasta"
    alignment.write_text("".join(f">{name}\n{sites}\n" for name in "abcdef"))
    run_small(alignment, tmp_path / "out", samples=105)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "no-variable-sites" in summary["warning_codes"]
    assert summary["ess"] > 0.99 * summary["n_proposals"]
    assert summary["extra"]["training_steps"] == 0
    if log_evidence is not None:
        assert summary["log_evidence"] == pytest.approx(log_evidence, abs=0.05)
    rows = (tmp_path / "out" / "topologies.tsv").read_text().splitlines()[1:]
    probabilities, errors = np.array([row.split("\t")[1:3] for row in rows], float).T
    assert len(rows) == 105
    z = (probabilities - 1 / 105) / errors  # the stated errors are right
    assert np.abs(z).max() < 4 and np.sqrt(np.mean(z**2)) < 1.5
    assert errors.max() < 0.05 / 105
    before = contents(tmp_path / "out")
    run_small(alignment, tmp_path / "out", samples=105, resume=True)
    assert contents(tmp_path / "out")["trees.nwk"] == before["trees.nwk"]


def command(*arguments, stdin=None):
    return subprocess.run(
        [sys.executable, "-m", "phylogfn.cli.main", "sample", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        input=stdin,
        check=False,
    )


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (None, [], "no such file"),
        ("", [], "empty"),
        (">a\nACGT\n>b\nACGT\n>c\nACG\n>d\nACGT\n", [], "c"),
        (">a\nACGT\n>b\nACJT\n>c\nACGT\n>d\nACGT\n", ["--data-type", "dna"], "J"),
        (">a\nACGT\n>a\nACGT\n>c\nACGT\n>d\nACGT\n", [], "a"),
        (">a\nACGT\n>b\nACGT\n>c\nACGT\n", [], "at least 4"),
        (GOOD, ["--model", "HKY58"], "HKY58"),
        (GOOD, ["--model", "LG"], "LG"),
        (
            GOOD,
            ["--model", "JC69", "--prior", "kappa=beta:1,1"],
            "free parameters of JC69 are none",
        ),
        (GOOD, ["--model", "K80", "--prior", "kapa=exp:1"], "did you mean 'kappa'"),
        (GOOD, ["--model", "auto", "--prior", "kapa=exp:1"], "did you mean 'kappa'"),
        (GOOD, ["--model", "K80", "--prior", "kappa=dirichlet:1"], "does not fit kappa"),
        (GOOD, ["--model", "K80", "--prior", "kappa"], "PARAMETER=PRIOR"),
        (GOOD, ["--backward-policy", "learned"], "--environment merging"),
        (GOOD, ["--branch-lengths", "bins"], "--environment merging"),
        (GOOD, ["--outgroup", "x"], "--outgroup: 'x' is not one of the 4 taxa"),
        (GOOD, ["--outgroup", "a,b,c,d"], "4 of 4 taxa are given"),
        (GOOD, ["--constraint", "a b\na c"], "line 1 and line 2 cannot be in one tree"),
        (GOOD, ["--constraint", "a"], "a clade of 1 taxon is no constraint"),
        (GOOD, ["--constraint", "a b c d"], "a clade of all 4 taxa is in every unrooted tree"),
        (GOOD, ["--constraint", "a x"], "'x' is not one of the 4 taxa"),
        (GOOD, ["--constraint", "(a,(b,(c,d))"], "x.constraint: line 1"),
        (GOOD, ["--constraint", ""], "is empty"),
        (GOOD, ["--length-bins", "8:0.01:1"], "--branch-lengths bins"),
        (GOOD, ["--branch-lengths", "bins", "--length-bins", "8:1:0.01"], "8:1:0.01"),
    ],
)
def test_malformed_input_is_one_line_and_code_2(tmp_path, text, options, words, capsys):
    path = tmp_path / "x.fasta"
    if text is not None:
        path.write_text(text)
    if options[:1] == ["--constraint"]:
        (tmp_path / "x.constraint").write_text(options[1])
        options = ["--constraint", str(tmp_path / "x.constraint")]
    out = tmp_path / "out"
    assert main(["sample", str(path), "-o", str(out), "--budget", "5s", *options]) == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if "error" in line]
    assert len(errors) == 1 and errors[0].startswith("phylogfn: error: ")
    assert words in errors[0]
    assert "Traceback" not in captured.err and captured.out == ""
    assert not (out / "summary.json").exists()


def test_malformed_input_from_the_shell(tmp_path):
    result = command("-", "-o", str(tmp_path / "out"), stdin=">a\nACGT\n>b\nAC\n")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("phylogfn: error: ")
