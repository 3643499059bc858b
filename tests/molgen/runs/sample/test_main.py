"""``molgen sample`` from settings to files: right, repeatable, resumable, whatever a score does.

Runs are made with little effort, so that one takes a second or two.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from gfncore.errors import UserError
from gfncore.evaluation import chi_squared
from gfncore.exploration import sample_trajectories
from gfncore.program.output import locked_output
from gfncore.program.progress import Progress
from gfncore.training.checkpoint import read_checkpoint
from molgen.cli.main import main
from molgen.output_names import OUTPUT_NAMES
from molgen.runs.exact import enumerate_space, policy_distribution
from molgen.runs.sample.answer import answer
from molgen.runs.sample.draw import draw_molecules, select_molecules
from molgen.runs.sample.effort import SampleEffort
from molgen.scoring import catalogue, registry
from molgen.scoring.components.isomers import chosen_isomer
from molgen.settings import SampleSettings

ROOT = Path(__file__).resolve().parents[4]

SMALL = SampleEffort(
    hidden=16,
    rounds=2,
    on_policy=8,
    walkers=8,
    replayed=16,
    block=5,
    pilot_every=2,
    pilot=64,
    fewest_steps=20,
    accurate_share=0.5,
    checkpoint_seconds=0.0,
    draw_batch=100,
)
# never accurate enough, and so trained until the budget is used up
ENDLESS = replace(
    SMALL,
    accurate_share=2.0,
    train_share=0.99,
    batch_share=1e9,
    draws_share=9.0,
    probabilities_share=9.0,
)
GIVEN = {
    "samples": 20,
    "budget": "10m",
    "seed": 3,
    "threads": 1,
    "objective": "trajectory_balance",
    "reward_exponent": 1.0,
    "quiet": True,
}
HAS_TENSORBOARD = importlib.util.find_spec("tensorboard") is not None
FRAGMENTS = "[*]C\n[*]O\n[*]c1ccccc1\n[*]C([*])=O\n[*]CC[*]\n[*]c1ccc([*])cc1\n"
ATOMS = {"environment": "atoms", "elements": "C,O", "max_atoms": 4, "ring_sizes": "any"}
# what says how long something took, or when
TIMED = {
    "summary.json",
    "provenance.json",
    "report.html",
    "train.jsonl",
    "tensorboard",
    "checkpoint",
}


class Interrupted(Progress):
    """Ends the process, or this thread, at one of its updates."""

    def __init__(self, at, kill=False):
        super().__init__("molgen", quiet=True)
        self.left = at
        self.kill = kill

    def update(self, **figures):
        self.left -= 1
        if self.left < 0:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise KeyboardInterrupt
        super().update(**figures)


def run_small(output, progress=None, effort=SMALL, **settings):
    """One run with little effort; the number of updates of its progress."""
    from molgen.runs.sample import main as sampling

    class Counting(Progress):
        updates = 0

        def update(self, **figures):
            self.updates += 1
            super().update(**figures)

    progress = progress or Counting("molgen", quiet=True)
    with progress:
        sampling.run_sample(SampleSettings(output=output, **GIVEN | settings), progress, effort)
    return getattr(progress, "updates", 0)


def contents(output):
    """The files that a seed determines, but for the settings."""
    left_out = {*TIMED, "run.toml"}
    return {path.name: path.read_bytes() for path in output.iterdir() if path.name not in left_out}


def summary_of(output):
    return json.loads((output / "summary.json").read_text())


def coded(summary, code):
    """Return the warnings of a summary that have a code."""
    told = zip(summary["warnings"], summary["warning_codes"], strict=True)
    return [text for text, other in told if other == code]


def library_of(output):
    with (output / "library.csv").open() as file:
        return list(csv.DictReader(file))


def untimed(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if "seconds" not in k} for line in lines]


def few_fragments(folder):
    path = folder / "few.smi"
    path.write_text(FRAGMENTS)
    return {"fragments": str(path), "max_fragments": 5, "max_atoms": 24}


def check_library(output):
    """What must be true of every library."""
    rows, summary = library_of(output), summary_of(output)
    smiles = [row["smiles"] for row in rows]
    assert smiles and len(smiles) == summary["n_unique"]
    for text in smiles:
        molecule = Chem.MolFromSmiles(text)
        assert molecule is not None and Chem.MolToSmiles(molecule) == text
    assert len(set(smiles)) == len(smiles)
    assert summary["validity"] == 1.0
    reward = np.array([float(row["reward"]) for row in rows])
    assert (reward > 0).all() and (np.diff(reward) <= 0).all()
    assert all(float(row["log_probability"]) <= 1e-6 for row in rows)
    assert all(int(row["count"]) >= 1 for row in rows)
    assert sum(int(row["count"]) for row in rows) == summary["n_samples"]
    assert (output / "library.smi").read_text().count("\n") == len(rows)
    assert (output / "library.sdf").read_text().count("$$$$") == len(rows)
    return rows, summary


@pytest.fixture(scope="module")
def atoms(tmp_path_factory):
    """Output of one run in a space that can be enumerated."""
    output = tmp_path_factory.mktemp("sampling") / "out"
    run_small(output, **ATOMS, tensorboard=HAS_TENSORBOARD, effort=replace(SMALL, fewest_steps=60))
    return output


CALLS = 200


def test_a_space_that_is_scored_whole_is_judged_with_fewer_calls_left_than_a_pilot(tmp_path):
    # of 150 calls for training, fewer than the 64 draws of a pilot are left when it is first judged
    few = replace(SMALL, accurate_share=0.0)
    run_small(tmp_path / "out", effort=few, **ATOMS, oracle_calls=CALLS)
    summary = summary_of(tmp_path / "out")
    assert 86 < summary["oracle_calls"] <= 123
    assert not {"training-time-limit", "oracle-calls-used"} & set(summary["warning_codes"])


LENGTH = """
def score(smiles):
    lengths = [len(s) for s in smiles]
    return [0 if n % 5 == 0 else None if n % 7 == 0 else 1 / (1 + abs(n - 16)) for n in lengths]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Settings, output and number of updates of a run that its oracle calls end."""
    folder = tmp_path_factory.mktemp("sampling")
    (folder / "mine.py").write_text(LENGTH)
    component = {"type": "function", "params": {"function": "mine.py:score"}}
    settings = {
        **few_fragments(folder),
        "oracle_calls": CALLS,
        "scoring": {"component": [component]},
        "scoring_directory": str(folder),
    }
    updates = run_small(folder / "out", **settings)
    return settings, folder / "out", updates


def test_all_files_are_there(atoms):
    absent = {"pareto.csv"} if HAS_TENSORBOARD else {"pareto.csv", "tensorboard"}
    assert {path.name for path in atoms.iterdir()} == set(OUTPUT_NAMES) - absent
    rows, summary = check_library(atoms)
    assert len(rows) == 20
    assert summary["warnings"] == [] and summary["oracle_failures"] == {}
    assert summary["score"] == "qed" and summary["environment"] == "atoms"
    extra = summary["extra"]
    assert extra["training_steps"] >= 60
    assert extra["trajectories_trained"] == 32 * extra["training_steps"]
    assert set(extra["training_seconds_by_part"]) == {"sampling", "policy", "reward", "other"}
    steps = [line["step"] for line in untimed(atoms / "train.jsonl")]
    assert steps == sorted(steps) and steps[-1] == extra["training_steps"]
    found = [line for line in untimed(atoms / "train.jsonl") if "best_score" in line]
    best = [line["best_score"] for line in found]
    assert len(best) == extra["training_steps"] // SMALL.block and best == sorted(best)
    assert best[-1] >= 0.9 * max(float(row["reward"]) for row in rows)
    modes = [line["n_modes"] for line in found if "n_modes" in line]
    assert len(modes) == len(best) // 10 and modes[-1] <= found[-1]["oracle_calls"]


@pytest.mark.skipif(not HAS_TENSORBOARD, reason="tensorboard is not installed")
def test_tensorboard_gets_what_train_jsonl_holds(atoms):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(atoms / "tensorboard"))
    events.Reload()
    lines = untimed(atoms / "train.jsonl")
    for name in ("loss", "best_score", "n_modes", "log_partition"):
        told = [(line["step"], line[name]) for line in lines if name in line]
        shown = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in shown] == [step for step, _ in told]
        assert [v for _, v in shown] == pytest.approx([v for _, v in told], rel=1e-6)


@pytest.fixture(scope="module")
def reopened(atoms):
    """The run of `atoms` as its checkpoint has it, and its whole space."""
    from molgen.runs.sample.run import SampleRun

    settings = SampleSettings(output=atoms, **GIVEN, **ATOMS)
    with Progress("molgen", quiet=True) as progress, ThreadPoolExecutor(1) as pool:
        run = SampleRun(settings, progress, pool, effort=SMALL)
        run.restore(read_checkpoint(atoms / "checkpoint"))
        space = enumerate_space(run.environment)
        yield run, space, policy_distribution(space, run.trainer.averaged.policy)
        run.scoring.close()


def test_log_partition_is_that_of_the_whole_space(atoms, reopened):
    _, space, _ = reopened
    summary = summary_of(atoms)
    error = summary["log_partition_se"]
    assert 0 < error < 0.3
    assert summary["log_partition"] == pytest.approx(space.log_partition, abs=4 * error)
    assert 0.3 * summary["n_proposals"] < summary["ess"] <= summary["n_proposals"]


def test_probabilities_are_those_of_the_policy(atoms, reopened):
    _, space, probability = reopened
    place = {smiles: i for i, smiles in enumerate(space.molecules)}
    rows = library_of(atoms)
    exact = np.log([probability[place[row["smiles"]]] for row in rows])
    log_p = np.array([float(row["log_probability"]) for row in rows])
    error = np.array([float(row["log_probability_se"]) for row in rows])
    assert np.abs(log_p - exact).max() < 0.5
    # the errors of ten trajectories are rough themselves
    assert np.mean(np.abs(log_p - exact) < 4 * np.maximum(error, 1e-4)) >= 0.9


def test_frequencies_are_the_probabilities(reopened):
    run, space, probability = reopened
    drawn = sample_trajectories(
        run.merged, run.trainer.averaged.policy, 5000, np.random.default_rng(11)
    )
    place = {smiles: i for i, smiles in enumerate(space.molecules)}
    rows = [place[smiles] for smiles in run.merged.smiles(drawn.terminals)]
    counts = np.bincount(rows, minlength=len(place))
    assert chi_squared(counts, probability).p_value > 0.001


@pytest.mark.parametrize("cap", [None, 1])
def test_libraries_weigh_molecules_by_the_target(reopened, monkeypatch, cap):
    """Whether or not scaffolds are limited, and however unlike the target the draws are."""
    run, space, _ = reopened
    settings = run.settings.model_copy(update={"samples": 30, "max_per_scaffold": cap})
    monkeypatch.setattr(run, "settings", settings)
    monkeypatch.setattr(run.reward, "exponent", 4.0)  # the sampler was trained for 1
    place = {smiles: i for i, smiles in enumerate(space.molecules)}
    target = np.exp(4.0 * space.log_reward - 4.0 * space.log_reward.max())
    exact = (target * space.log_reward).sum() / target.sum()
    sums = np.zeros((60, 2))
    for seed in range(len(sums)):
        monkeypatch.setattr(
            run, "rng", lambda purpose, seed=seed: np.random.default_rng([seed, *purpose.encode()])
        )
        draws = draw_molecules(run)
        chosen = select_molecules(run, draws)
        assert len(chosen.rows) == 30
        names = [draws.distinct[0][row] for row in chosen.rows]
        if cap is not None:
            scaffolds = [draws.cap.scaffolds[name] for name in names if draws.cap.scaffolds[name]]
            assert len(set(scaffolds)) == len(scaffolds)
        weights = np.exp(chosen.log_weights) / len(draws.smiles)
        values = np.array([space.log_reward[place[name]] for name in names])
        sums[seed] = weights.sum(), (weights * values).sum()
    estimate = sums[:, 1].sum() / sums[:, 0].sum()
    residuals = (sums[:, 1] - estimate * sums[:, 0]) / sums[:, 0].mean()
    assert abs(estimate - exact) < 4.0 * residuals.std(ddof=1) / math.sqrt(len(sums))
    unweighted = space.log_reward.mean()
    assert abs(estimate - unweighted) > 6.0 * residuals.std(ddof=1) / math.sqrt(len(sums))


def test_oracle_calls_end_a_run_and_are_never_exceeded(finished):
    _, output, _ = finished
    rows, summary = check_library(output)
    assert len(rows) == 20
    assert summary["oracle_calls"] <= CALLS
    assert summary["extra"]["training_steps"] >= 5
    assert "oracle-calls-used" in summary["warning_codes"]


COUNTING = """
def score(smiles):
    with open({path!r}, "a") as file:
        file.writelines(s + "\\n" for s in smiles)
    return [1 / len(s) for s in smiles]
"""


@pytest.mark.parametrize("calls", [3, 40, 150])
def test_the_score_is_asked_no_more_often_than_allowed(tmp_path, calls):
    asked = tmp_path / "asked"
    (tmp_path / "mine.py").write_text(COUNTING.format(path=str(asked)))
    component = {"type": "function", "params": {"function": "mine.py:score"}}
    run_small(
        tmp_path / "out",
        **few_fragments(tmp_path),
        oracle_calls=calls,
        samples=10,
        scoring={"component": [component]},
        scoring_directory=str(tmp_path),
    )
    _, summary = check_library(tmp_path / "out")
    molecules = asked.read_text().splitlines()
    assert len(molecules) == len(set(molecules)) == summary["oracle_calls"] <= calls
    assert (summary["extra"]["training_steps"] > 0) == (calls >= 40)


def test_the_same_seed_gives_the_same_files_with_more_threads_too(finished, tmp_path):
    settings, output, _ = finished
    run_small(tmp_path / "again", **settings, threads=2)
    first, second = contents(output), contents(tmp_path / "again")
    assert first.keys() == second.keys() and len(first) == 4
    assert [name for name in first if first[name] != second[name]] == []
    run_small(tmp_path / "other", **settings, seed=4)
    assert contents(tmp_path / "other")["library.smi"] != first["library.smi"]


@pytest.mark.parametrize("share", [0.0, 0.7])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(finished, tmp_path, share):
    settings, output, updates = finished
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run_small(out, Interrupted(int(share * (updates - 1))), **settings)
    assert not (out / "summary.json").exists()
    run_small(out, resume=True, **settings)
    assert contents(out) == contents(output)
    assert untimed(out / "train.jsonl") == untimed(output / "train.jsonl")
    whole, resumed = summary_of(output), summary_of(out)
    for key in ("oracle_calls", "warnings", "log_partition", "ess", "oracle_failures"):
        assert resumed[key] == whole[key]
    key = "molecules_at_the_reward_floor"
    assert resumed["extra"][key] == whole["extra"][key] > 0


def test_a_killed_run_goes_on_as_if_nothing_had_been(finished, tmp_path):
    settings, output, updates = finished
    out = tmp_path / "out"
    code = (
        "import importlib.util, json, sys\n"
        "spec = importlib.util.spec_from_file_location('runs', sys.argv[1])\n"
        "runs = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(runs)\n"
        "from pathlib import Path\n"
        "progress = runs.Interrupted(int(sys.argv[3]), kill=True)\n"
        "runs.run_small(Path(sys.argv[2]), progress, **json.loads(sys.argv[4]))\n"
    )
    arguments = [__file__, str(out), str(updates // 2), json.dumps(settings)]
    result = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, check=False)
    assert result.returncode == -signal.SIGKILL
    assert (out / "checkpoint" / "checkpoint.json").exists()
    run_small(out, resume=True, **settings)
    assert contents(out) == contents(output)


def test_a_finished_run_resumed_is_the_same_and_may_be_given_more(tmp_path):
    settings = few_fragments(tmp_path)
    out = tmp_path / "out"
    run_small(out, **settings, oracle_calls=130)
    first, before = contents(out), summary_of(out)
    run_small(out, **settings, oracle_calls=130, resume=True)
    assert contents(out) == first
    run_small(out, **settings, oracle_calls=CALLS, resume=True)
    after = summary_of(out)
    assert after["extra"]["training_steps"] > before["extra"]["training_steps"]
    assert before["oracle_calls"] < after["oracle_calls"] <= CALLS
    check_library(out)


@pytest.mark.parametrize("symmetry", ["reward_scaling", "flow_scaling", "none"])
def test_other_corrections(tmp_path, symmetry):
    run_small(tmp_path / "out", **ATOMS | {"max_atoms": 3}, symmetry=symmetry, samples=8)
    _, summary = check_library(tmp_path / "out")
    assert summary["symmetry"] == symmetry
    assert len(summary["warnings"]) == (symmetry == "none")


def test_log_variance_has_no_learned_partition(tmp_path):
    run_small(tmp_path / "out", **ATOMS | {"max_atoms": 3}, objective="log_variance", samples=8)
    _, summary = check_library(tmp_path / "out")
    assert summary["extra"]["trained_log_partition"] is None
    assert np.isfinite(summary["log_partition"])


def test_order_preserving_with_one_objective(tmp_path):
    settings = {**few_fragments(tmp_path), "oracle_calls": CALLS}
    run_small(tmp_path / "out", **settings, objective="order_preserving", order_temperature=0.125)
    _, summary = check_library(tmp_path / "out")
    assert summary["order_temperature"] == 0.125
    # the distribution that it aims for has no name
    assert summary["log_partition"] is None and summary["ess"] is None
    assert summary["extra"]["training_steps"] >= 5


PARETO = {
    "aggregation": "pareto",
    "component": [
        {"type": "qed"},
        {"type": "weight", "transform": {"type": "reverse_sigmoid", "low": 100, "high": 250}},
    ],
}


def test_order_preserving_with_two_objectives(tmp_path):
    settings = {**few_fragments(tmp_path), "oracle_calls": CALLS, "scoring": PARETO}
    run_small(tmp_path / "out", **settings, objective="order_preserving")
    rows, summary = check_library(tmp_path / "out")
    assert {"qed", "weight"} <= rows[0].keys()
    with (tmp_path / "out" / "pareto.csv").open() as file:
        front = list(csv.DictReader(file))
    assert 1 <= len(front) == summary["n_pareto"] < len(rows)
    assert summary["warnings"] and all("--oracle-calls" in w for w in summary["warnings"])
    assert not any("accuracy" in w for w in summary["warnings"])  # none is aimed for


def test_two_objectives_want_the_objective_that_knows_them(tmp_path):
    settings = {**few_fragments(tmp_path), "oracle_calls": 150, "scoring": PARETO}
    run_small(tmp_path / "out", **settings)
    assert "mean-of-objectives" in summary_of(tmp_path / "out")["warning_codes"]


def test_a_core_is_in_every_molecule(tmp_path):
    settings = {**few_fragments(tmp_path), "oracle_calls": CALLS, "core": "[*]c1ccnc([*])c1"}
    run_small(tmp_path / "out", **settings)
    rows, _ = check_library(tmp_path / "out")
    core = Chem.MolFromSmarts("c1ccncc1")
    assert all(Chem.MolFromSmiles(row["smiles"]).HasSubstructMatch(core) for row in rows)


def test_molecules_beyond_the_cap_of_a_scaffold_are_left_out(tmp_path, monkeypatch):
    notes = []
    monkeypatch.setattr(Progress, "note", lambda progress, message: notes.append(message))
    settings = {**few_fragments(tmp_path), "oracle_calls": 200}
    out, key = tmp_path / "out", "molecules_left_out_by_scaffold"
    run_small(out, **settings)
    rows, summary = check_library(out)
    scaffolds = [row["scaffold"] for row in rows if row["scaffold"]]
    assert len(set(scaffolds)) < len(scaffolds) and summary["extra"][key] == 0 and not notes
    run_small(out, **settings, max_per_scaffold=1, resume=True)  # the end alone differs
    rows, summary = check_library(out)
    scaffolds = [row["scaffold"] for row in rows if row["scaffold"]]
    assert len(set(scaffolds)) == len(scaffolds) > 1
    assert summary["extra"][key] > 0
    assert [n.split()[0] for n in notes] == [str(summary["extra"][key])]
    assert "left out of the library" in notes[0]


FUNCTION = """
def score(smiles):
    if "CCO" in smiles:
        raise ValueError("no ethanol")
    return [0.0 if s == "CC" else None if s == "CO" else 1 / (1 + len(s)) for s in smiles]
"""


def test_a_function_of_the_user_and_what_it_cannot_score(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(FUNCTION)
    component = {"type": "function", "name": "mine", "params": {"function": "mine.py:score"}}
    run_small(
        tmp_path / "out",
        **ATOMS | {"max_atoms": 3},
        scoring={"component": [component]},
        scoring_directory=str(tmp_path),
        samples=40,
    )
    rows, summary = check_library(tmp_path / "out")
    smiles = {row["smiles"] for row in rows}
    assert not smiles & {"CC", "CCO", "CO"}
    assert {"C", "O"} <= smiles
    assert summary["oracle_failures"] == {"mine: raised ValueError": 1, "mine: not a number": 1}
    assert summary["oracle_failure_examples"] == {
        "mine: raised ValueError": "CCO: no ethanol",
        "mine: not a number": "CO",
    }
    assert summary["extra"]["molecules_at_the_reward_floor"] == 3
    told = coded(summary, "failed-scores")
    assert "for example CCO: no ethanol" in told[0]
    assert f"warning: {told[0]}" in capsys.readouterr().err
    assert len(rows) + 3 <= summary["oracle_calls"] < 40
    check_scored(tmp_path / "out", rows, summary)


def check_scored(output, rows, summary):
    """``scored.csv`` holds every oracle call once, best first, and agrees with the library."""
    with (output / "scored.csv").open() as file:
        scored = list(csv.DictReader(file))
    assert sorted(int(row["oracle_call"]) for row in scored) == list(
        range(1, summary["oracle_calls"] + 1)
    )
    rewards = [float(row["reward"] or -1) for row in scored]
    assert rewards == sorted(rewards, reverse=True)
    assert [row["smiles"] for row in scored[:3]] == [
        entry["smiles"] for entry in summary["best_scored"][:3]
    ]
    by_smiles = {row["smiles"]: row for row in scored}
    for row in rows:
        assert by_smiles[row["smiles"]]["count"] == row["count"]
        assert by_smiles[row["smiles"]]["reward"] == row["reward"]
    assert by_smiles["CCO"]["remark"] == "mine: raised ValueError: no ethanol"


PROGRAM = """
import json, os, sys, time
for line in sys.stdin:
    request = json.loads(line)
    smiles = request["smiles"]
    if "CO" in smiles:
        os._exit(3)
    if "CC" in smiles:
        time.sleep(60)
    if "C=O" in smiles:
        print("Segmentation fault", flush=True)
        continue
    scores = [1 / (1 + len(s)) for s in smiles]
    print(json.dumps({"id": request["id"], "scores": scores}), flush=True)
"""


def test_an_external_program_that_crashes_hangs_and_prints_rubbish(tmp_path):
    (tmp_path / "score.py").write_text(PROGRAM)
    component = {
        "type": "external",
        "name": "dock",
        "params": {"command": [sys.executable, "-S", "score.py"], "time_limit": 0.7},
    }
    run_small(
        tmp_path / "out",
        **ATOMS | {"max_atoms": 3},
        scoring={"component": [component]},
        scoring_directory=str(tmp_path),
        samples=40,
    )
    rows, summary = check_library(tmp_path / "out")
    failures = summary["oracle_failures"]
    assert sum(failures.values()) == 3
    assert all(name.startswith("dock: ") for name in failures)
    told = " ".join(failures)
    assert "exit code 3" in told and "timed out" in told and "not a JSON object" in told
    assert not {row["smiles"] for row in rows} & {"CO", "CC", "C=O"}
    assert summary["extra"]["molecules_at_the_reward_floor"] == 3
    assert len(rows) + 3 <= summary["oracle_calls"] < 40


@pytest.mark.parametrize("zero", ["", "OO"])
def test_log_z_is_that_of_the_exact_power_of_the_score(tmp_path, zero):
    # scores of a tenth at most to the power 400: all log rewards lie below -900
    (tmp_path / "mine.py").write_text(
        f"def score(smiles):\n    return [0.0 if s == {zero!r} else 0.1 / len(s) for s in smiles]\n"
    )
    component = {"type": "function", "params": {"function": "mine.py:score"}}
    run_small(
        tmp_path / "out",
        **ATOMS | {"max_atoms": 2},
        scoring={"component": [component]},
        scoring_directory=str(tmp_path),
        samples=8,
        reward_exponent=400.0,
    )
    summary = summary_of(tmp_path / "out")
    # C and O are best; one other molecule of two letters at most has (1/2)^400 of their reward
    truth = 400 * np.log(0.1) + np.log(2.0)
    error = max(4 * summary["log_partition_se"], 1e-6)
    assert summary["log_partition"] == pytest.approx(truth, abs=error)
    assert summary["log_partition_se"] < 0.5
    assert summary["extra"]["molecules_below_the_reward_floor"] == 0
    assert summary["extra"]["molecules_at_the_reward_floor"] == (zero == "OO")


def test_a_function_that_changes_the_directory_moves_no_results(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import os\ndef score(smiles):\n    os.chdir('elsewhere')\n    return [0.5] * len(smiles)\n"
    )
    component = {"type": "function", "params": {"function": "mine.py:score"}}
    run_small(
        Path("out"),
        **ATOMS | {"max_atoms": 2},
        scoring={"component": [component]},
        scoring_directory=str(tmp_path),
        samples=4,
    )
    assert {"library.csv", "run.toml", "summary.json"} <= {p.name for p in Path("out").iterdir()}
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert summary_of(tmp_path / "out")["oracle_failures"] == {}


def test_a_score_that_is_always_zero(tmp_path):
    (tmp_path / "mine.py").write_text("def score(smiles):\n    return [0.0] * len(smiles)\n")
    component = {"type": "function", "params": {"function": "mine.py:score"}}
    with pytest.raises(UserError, match="score above zero"):
        run_small(
            tmp_path / "out",
            **ATOMS | {"max_atoms": 2},
            scoring={"component": [component]},
            scoring_directory=str(tmp_path),
        )
    assert not (tmp_path / "out" / "summary.json").exists()


@pytest.mark.parametrize("calls", [1, 2])
def test_hardly_any_oracle_calls(tmp_path, calls):
    run_small(tmp_path / "out", **ATOMS | {"max_atoms": 3}, samples=5, oracle_calls=calls)
    summary = summary_of(tmp_path / "out")
    assert summary["oracle_calls"] == calls and summary["n_proposals"] >= calls
    assert np.isfinite(summary["log_partition"])
    if summary["n_proposals"] == 1:
        assert summary["log_partition_se"] is None
        assert "single-draw" in summary["warning_codes"]


def test_scores_as_low_as_zero_are_told(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def score(smiles):\n    return [1e-7 if s == 'CC' else 0.5 for s in smiles]\n"
    )
    component = {"type": "function", "params": {"function": "mine.py:score"}}
    run_small(
        tmp_path / "out",
        **ATOMS | {"max_atoms": 2},
        scoring={"component": [component]},
        scoring_directory=str(tmp_path),
        samples=4,
        reward_exponent=64.0,
    )
    summary = summary_of(tmp_path / "out")
    assert summary["extra"]["molecules_below_the_reward_floor"] == 1
    (told,) = coded(summary, "scores-below-floor")
    assert "have a score above zero whose log reward is -884 or less" in told


def test_the_budget_ends_training_and_more_of_it_goes_on(tmp_path, monkeypatch):
    from molgen.runs.sample.run import SampleRun

    # never accurate enough; a block takes a second; no checkpoint but the last
    monkeypatch.setattr(SampleRun, "seconds", lambda run: float(run.state.blocks))
    effort = replace(ENDLESS, checkpoint_seconds=1e9)
    part, whole = tmp_path / "part", tmp_path / "whole"
    for out, budget, resume, blocks in (
        (part, "2s", False, 2),
        (part, "4s", True, 4),
        (whole, "4s", False, 4),
    ):
        run_small(out, effort=effort, **ATOMS, budget=budget, resume=resume)
        summary = summary_of(out)
        assert summary["warning_codes"].count("training-time-limit") == 1
        assert f"budget of {budget}" in summary["warnings"][0]
        assert summary["extra"]["training_steps"] == SMALL.block * blocks
    assert contents(part) == contents(whole)


def test_the_budget_ends_training_within_a_block(tmp_path, monkeypatch):
    from molgen.runs.sample.run import SampleRun

    # a step takes a second, as where a score takes long; a checkpoint after each
    monkeypatch.setattr(SampleRun, "seconds", lambda run: float(run.trainer.step_number))
    part, whole = tmp_path / "part", tmp_path / "whole"
    for out, budget, resume, steps in (
        (part, "7s", False, 7),
        (part, "14s", True, 14),
        (whole, "14s", False, 14),
    ):
        run_small(out, effort=ENDLESS, **ATOMS, budget=budget, resume=resume)
        assert summary_of(out)["extra"]["training_steps"] == steps
    libraries = [contents(out) for out in (part, whole)]
    # the first session of `part` scored its draws before training went on
    orders = [library.pop("scored.csv") for library in libraries]
    assert sorted(text.count(b"\n") for text in orders) == sorted(
        1 + summary_of(out)["oracle_calls"] for out in (part, whole)
    )
    assert libraries[0] == libraries[1]
    losses = [
        [line["loss"] for line in untimed(out / "train.jsonl") if "loss" in line]
        for out in (part, whole)
    ]
    assert losses[0] == losses[1] and len(losses[0]) == 14


def test_the_budget_ends_the_draws(tmp_path, monkeypatch):
    from molgen.runs.sample.run import SampleRun

    monkeypatch.setattr(SampleRun, "seconds", lambda run: float(run.trainer.step_number))
    effort = replace(SMALL, train_share=0.99, draw_batch=20, batch_share=1e9)
    run_small(tmp_path / "out", effort=effort, **ATOMS, budget="7s")
    summary = summary_of(tmp_path / "out")
    assert summary["extra"]["training_steps"] == 7 and summary["n_proposals"] == 20
    assert "few-molecules" in summary["warning_codes"]


def test_a_library_writes_the_files_of_its_run(tmp_path, monkeypatch):
    from molgen.runs.sample import main as sampling

    libraries = []
    monkeypatch.setattr(
        sampling, "answer", lambda run: libraries.append(answer(run)) or libraries[0]
    )
    run_small(tmp_path / "run", **ATOMS)
    libraries[0].write(tmp_path / "again")
    (tmp_path / "run" / "checkpoint").rename(tmp_path / "checkpoint")
    files = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == files


def test_scores_of_the_draws_are_kept_when_the_end_is_interrupted(tmp_path, monkeypatch):
    from molgen.runs.sample import answer as sampling_answer

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    (tmp_path / "mine.py").write_text(COUNTED)
    component = {"type": "function", "params": {"function": "mine.py:score"}}
    settings = {
        **few_fragments(tmp_path),
        "oracle_calls": 200,
        "scoring": {"component": [component]},
        "scoring_directory": str(tmp_path),
    }
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sampling_answer, "molecule_probabilities", interrupt)
        run_small(tmp_path / "out", **settings)
    before = (tmp_path / "scored.txt").read_text().splitlines()
    run_small(tmp_path / "out", **settings, resume=True)
    assert (tmp_path / "scored.txt").read_text().splitlines() == before
    assert len(before) == len(set(before)) == summary_of(tmp_path / "out")["oracle_calls"]


def test_fewer_oracle_calls_on_resume_hold(tmp_path):
    settings = few_fragments(tmp_path)
    run_small(tmp_path / "out", **settings, oracle_calls=200)
    before = summary_of(tmp_path / "out")["oracle_calls"]
    # more molecules than the calls so far are worth, but no further call is allowed
    run_small(tmp_path / "out", **settings, oracle_calls=150, samples=100, resume=True)
    assert summary_of(tmp_path / "out")["oracle_calls"] == before > 150


def test_other_fragments_under_the_same_name_are_refused(tmp_path):
    settings = {**few_fragments(tmp_path), "oracle_calls": 150}
    run_small(tmp_path / "out", **settings)
    inputs = json.loads((tmp_path / "out" / "provenance.json").read_text())["inputs"]
    assert [entry["path"] for entry in inputs] == [settings["fragments"]]
    Path(settings["fragments"]).write_text(FRAGMENTS.replace("[*]O", "[*]N"))
    with pytest.raises(UserError, match="is not the fragment file with which the run in"):
        run_small(tmp_path / "out", **settings, resume=True)


COUNTED = """
from pathlib import Path

def score(smiles):
    with Path(__file__).with_name("scored.txt").open("a") as file:
        file.writelines(s + "\\n" for s in smiles)
    return [1 / (1 + len(s)) for s in smiles]
"""
BROKEN = "def score(smiles):\n    return [activity(s) for s in smiles]\n"


def test_a_library_that_drawings_lack_is_told_before_anything_is_done(tmp_path, monkeypatch):
    name = "molgen.results.report.drawing"
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "rdkit.Chem.Draw", None)  # as if it could not be loaded
    with pytest.raises(UserError, match="RDKit cannot draw molecules here .*libXrender"):
        run_small(tmp_path / "out", **ATOMS)
    assert not (tmp_path / "out").exists()


def test_two_runs_in_one_directory_are_refused(tmp_path):
    with locked_output(tmp_path / "out"), pytest.raises(UserError, match="in use by another run"):
        run_small(tmp_path / "out", **ATOMS)


def test_a_score_that_never_works_is_said_to(tmp_path):
    (tmp_path / "mine.py").write_text(BROKEN)
    component = {"type": "function", "name": "mine", "params": {"function": "mine.py:score"}}
    with pytest.raises(UserError, match="scores that failed: mine: raised NameError: [0-9]+"):
        run_small(
            tmp_path / "out",
            **ATOMS | {"max_atoms": 3},
            scoring={"component": [component]},
            scoring_directory=str(tmp_path),
        )
    saved = read_checkpoint(tmp_path / "out" / "checkpoint")
    assert any("scores failed (mine: raised NameError" in w for w in saved.extra["warnings"])


def test_a_filter_that_nothing_passes_is_named(tmp_path):
    everything = {"type": "alerts", "name": "everything", "params": {"smarts": ["*"]}}
    with pytest.raises(UserError, match="rejected by a filter: everything: [0-9]+"):
        run_small(
            tmp_path / "out",
            **ATOMS | {"max_atoms": 3},
            scoring={"component": [{"type": "qed"}], "filter": [everything]},
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--environment", "atoms", "--elements", "Xx"], "Xx"),
        (["--fragments", "nothing.smi"], "nothing.smi"),
        (["--core", "c1ccccc1"], "c1ccccc1"),
        (["--reward", "qd"], "qed"),
        (["--oracle-calls", "0"], "oracle"),
    ],
)
def test_malformed_input_is_one_line_and_code_2(tmp_path, options, words, capsys):
    out = tmp_path / "out"
    assert main(["sample", "-o", str(out), "--budget", "5s", "--threads", "1", *options]) == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if "error" in line]
    assert len(errors) == 1 and errors[0].startswith("molgen: error: ")
    assert words in errors[0]
    assert "Traceback" not in captured.err and captured.out == ""
    assert not (out / "summary.json").exists()


@pytest.mark.parametrize("environment", ["fragments", "atoms"])
def test_numbers_of_a_core_are_columns_and_its_stereo_is_told(tmp_path, environment):
    core = "N[C@@H](C)C(=O)N([*:2])[1*]"
    space = ATOMS | {"max_atoms": 8, "elements": "C,N,O"} if environment == "atoms" else {}
    space = space or few_fragments(tmp_path)
    run_small(tmp_path / "out", **space, core=core)
    rows, summary = check_library(tmp_path / "out")
    assert summary["warning_codes"].count("unused-marks-of-core") == 1
    assert list(rows[0])[-2:] == ["R1", "R2"]
    alanine_amide = Chem.MolFromSmiles("NC(C)C(=O)N")
    for row in rows:
        groups = [Chem.MolFromSmiles(row[name]) for name in ("R1", "R2")]
        assert Chem.MolFromSmiles(row["smiles"]).HasSubstructMatch(alanine_amide)
        assert [f"[*:{i}]" in row[f"R{i}"] for i in (1, 2)] == [True, True]
        heavy = [mol.GetNumHeavyAtoms() for mol in groups]
        if environment == "fragments":  # no group holds both
            assert 6 + sum(heavy) == Chem.MolFromSmiles(row["smiles"]).GetNumAtoms()


def test_isotopes_in_a_file_of_fragments_are_told_once(tmp_path):
    path = tmp_path / "labelled.smi"
    path.write_text("[*]C([2H])([2H])[2H]\n[*]c1ccc([*:1])cc1\n[*]O[2H]\n")
    run_small(tmp_path / "out", fragments=str(path), max_fragments=3, max_atoms=20)
    rows, summary = check_library(tmp_path / "out")
    told = coded(summary, "unused-marks-of-fragments")
    assert len(told) == 2 and "isotopes are not used (2 fragments" in told[0]
    assert {"Cc1ccccc1", "Oc1ccccc1"} <= {row["smiles"] for row in rows}


def test_isomers_that_a_score_chooses_are_named(tmp_path, monkeypatch, capsys):
    qed = replace(catalogue.kinds()["qed"], isomer=chosen_isomer)  # as docking has it
    monkeypatch.setitem(registry.KINDS, "qed", qed)
    run_small(tmp_path / "out", **few_fragments(tmp_path), core="[*]C(F)C(=O)O")
    rows, summary = check_library(tmp_path / "out")
    (told,) = coded(summary, "open-stereocentres")
    differ = [row for row in rows if row["qed_isomer"] != row["smiles"]]
    assert told.startswith(f"{len(differ)} of {len(rows)} molecules") and "qed_isomer" in told
    assert differ
    for row in rows:
        assert row["qed_isomer"] == chosen_isomer(row["smiles"])
    (tmp_path / "two.smi").write_text("CC(O)N\nCCO\n")
    assert main(["score", str(tmp_path / "two.smi")]) == 0
    remarks = [row["remark"] for row in csv.DictReader(capsys.readouterr().out.splitlines())]
    assert remarks == [f"qed: isomer {chosen_isomer('CC(O)N')}", ""]
