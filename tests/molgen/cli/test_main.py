"""The command line: what it prints, where, and its exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gfncore.program.configuration import settings_toml
from molgen.cli.main import main
from molgen.results.files import write_results
from molgen.settings import resolve_sample

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = ("sample", "score", "exact", "rewards", "fragments", "cite")


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "molgen.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def molecules(tmp_path):
    path = tmp_path / "m.smi"
    path.write_text("OCC ethanol\nc1ccccc1C(=O)NC\nhello\nCC(=O)Oc1ccccc1C(=O)O aspirin\n")
    return path


def processor_seconds():
    """Return the processor time of all child processes that have ended."""
    used = os.times()
    return used.children_user + used.children_system


@pytest.fixture
def captured(monkeypatch):
    """The settings that commands hand on, in place of a run."""
    import molgen.runs.exact
    import molgen.runs.sample.main

    found = []
    for module, name in ((molgen.runs.sample.main, "run_sample"), (molgen.runs.exact, "run_exact")):
        monkeypatch.setattr(module, name, lambda settings, progress: found.append(settings))
    return found


def test_help_is_quick_and_has_examples():
    taken = []
    for _ in range(2):
        start = processor_seconds()
        result = run("--help")
        taken.append(processor_seconds() - start)
    assert result.returncode == 0
    assert "molgen sample -o out" in result.stdout
    for command in (*COMMANDS, "data"):
        assert command in result.stdout
    assert min(taken) < 1.5  # a third of a second, of processor time


def test_nothing_heavy_is_imported_for_help():
    code = (
        "import sys\nfrom molgen.cli.main import main\n"
        f"for command in {COMMANDS}: main([command, '--help'])\n"
        "heavy = {'torch', 'numba', 'numpy', 'pandas', 'scipy', 'rdkit', 'pydantic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_examples(command, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"molgen {command}" in out and "Example" in out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("molgen ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["smaple"], 'Did you mean "sample"?'),
        (["sample"], "--output"),
        (["sample", "-o", "y", "--max-atom", "3"], "Did you mean --max-atoms?"),
        (["sample", "-o", "y", "--environment", "atom"], '"atoms"'),
        (["sample", "-o", "y", "--budget", "5x"], "write 30s, 5m or 1h"),
        (["sample", "-o", "y", "--elements", "C,N"], "belongs to the environment atoms"),
        (["sample", "-o", "y", "--config", "no.toml"], "no.toml: no such file"),
        (["sample", "-o", "data"], "is not empty"),
        (["sample", "-o", "y", "--resume"], "contains no run to resume"),
        (["exact", "-o", "y", "--symmetry", "both"], "'both' is not offered"),
        (["score", "no.smi"], "no.smi: no such file"),
        (["score", "m.smi", "--reward", "qedd"], "did you mean 'qed'"),
        (["score", "m.smi", "--reward", "qed", "--config", "x"], "cannot be combined"),
        (["score", "m.smi", "--threads", "0"], "0 is out of range"),
        (["fragments", "no.smi"], "no.smi"),
        (["fragments", "m.smi", "--min-count", "0"], "0 is out of range"),
        (["fragments", "m.smi", "-o", "m.smi"], "exists; give --force"),
        (["data", "copy", "fragment"], "did you mean"),
        (["cite", "nowhere"], "contains no finished run"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(arguments, words, capsys, monkeypatch, molecules):
    monkeypatch.chdir(molecules.parent)
    (molecules.parent / "data").mkdir()
    (molecules.parent / "data" / "x").touch()
    assert main(arguments) == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if "error" in line]
    assert len(errors) == 1
    assert errors[0].startswith("molgen: error: ")
    assert words in errors[0]
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert not (molecules.parent / "y").exists()


def test_first_words_come_within_a_second(tmp_path):
    start = processor_seconds()
    process = subprocess.Popen(
        [sys.executable, "-m", "molgen.cli.main", "sample", "-o", tmp_path / "o", "--seed", "-1"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    taken = processor_seconds() - start
    process.communicate()
    assert "starting in" in line
    assert taken < 3.0  # half a second, of processor time


def test_sample_hands_on_what_was_said(captured, tmp_path):
    arguments = ["--environment", "atoms", "--elements", "C,N", "--ring-sizes", "none"]
    arguments += ["--max-rings", "2", "--strained", "--max-per-scaffold", "3"]
    arguments += ["--samples", "50", "--reward-exponent", "4", "--core", "c1ccccc1[*]", "-q"]
    assert main(["sample", "-o", str(tmp_path / "o"), *arguments]) == 0
    (settings,) = captured
    assert (settings.elements, settings.allowed_ring_sizes) == (("C", "N"), ())
    assert (settings.most_rings, settings.strained) == (2, True)
    assert settings.max_per_scaffold == 3
    assert (settings.samples, settings.reward_exponent) == (50, 4.0)
    assert (settings.core, settings.quiet, settings.force) == ("c1ccccc1[*]", True, False)


def test_a_run_is_repeated_by_its_run_toml(captured, tmp_path):
    config = tmp_path / "score.toml"
    config.write_text('samples = 20\n[[scoring.component]]\ntype = "qed"\n')
    assert main(["sample", "-o", str(tmp_path / "a"), "--config", str(config), "--seed", "5"]) == 0
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.toml").write_text(settings_toml(captured[0]))
    run_file = tmp_path / "a" / "run.toml"
    assert main(["sample", "--config", str(run_file), "-o", str(tmp_path / "b")]) == 0
    expected = {"output": tmp_path / "b", "config": run_file}
    assert captured[1] == captured[0].model_copy(update=expected)


def test_exact_hands_on_what_was_said(captured, tmp_path):
    arguments = ["--max-atoms", "4", "--symmetry", "merged", "--no-strained"]
    assert main(["exact", "-o", str(tmp_path), *arguments]) == 0
    assert (captured[0].max_atoms, captured[0].symmetry) == (4, ("merged",))
    assert captured[0].strained is False


def test_score_uses_good_lines_and_says_so(molecules, capsys):
    assert main(["score", str(molecules)]) == 1
    captured = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(captured.out)))
    assert [row["name"] for row in rows] == ["ethanol", "", "aspirin"]
    assert rows[0]["smiles"] == "CCO"
    assert float(rows[2]["reward"]) == pytest.approx(0.5501, abs=1e-3)
    assert (
        captured.err
        == f"molgen: warning: {molecules}, line 3: 'hello' is not a valid SMILES; skipped\n"
    )


def test_score_of_good_lines_alone(tmp_path, capsys):
    path = tmp_path / "m.smi"
    path.write_text("OCC\nOCC\n")
    assert main(["score", str(path), "--reward", "druglike"]) == 0
    captured = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(captured.out)))
    assert len(rows) == 2 and rows[0] == rows[1]
    assert list(rows[0])[:2] == ["smiles", "reward"] and "name" not in rows[0]
    assert captured.err == ""


def test_score_tells_of_filters_and_failures(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "def of(smiles):\n    return [float('nan') if 'N' in s else 0.5 for s in smiles]\n"
    )
    config = tmp_path / "score.toml"
    config.write_text(
        '[[scoring.component]]\ntype = "function"\nparams = { function = "mine:of" }\n'
        '[[scoring.filter]]\ntype = "alerts"\nparams = { smarts = ["[Br]"] }\n'
    )
    path = tmp_path / "m.smi"
    path.write_text("CCO\nCCN\nCCBr\n")
    assert main(["score", str(path), "--config", str(config)]) == 1
    captured = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(captured.out)))
    assert [row["reward"] for row in rows] == ["0.5", "", "0"]
    assert rows[0]["remark"] == "" and "function" in rows[1]["remark"]
    assert rows[2]["remark"] == "filtered by alerts"
    assert "1 of 3 molecules have no score" in captured.err


def test_score_reads_a_library_and_a_run(tmp_path, make_library, run_facts, capsys):
    out = tmp_path / "out"
    library = make_library()
    write_results(out, library, run_facts)
    (out / "run.toml").write_text(settings_toml(resolve_sample({"output": out})))
    assert main(["score", str(out / "library.csv"), "--config", str(out / "run.toml")]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["smiles"] for row in rows] == list(library.smiles)


def test_rewards_are_listed(capsys):
    assert main(["rewards"]) == 0
    out = capsys.readouterr().out
    for word in ("qed", "druglike", "double_sigmoid", "external"):
        assert word in out


def test_fragments(molecules, tmp_path, capsys):
    target = tmp_path / "fragments.smi"
    assert main(["fragments", str(molecules), "-o", str(target)]) == 1
    captured = capsys.readouterr()
    assert "line 3: 'hello'" in captured.err and captured.out == ""
    assert "[*]" in target.read_text()
    assert main(["fragments", str(molecules), "--method", "rings"]) == 1
    assert "[*]" in capsys.readouterr().out


def test_data(tmp_path, capsys, monkeypatch):
    assert main(["data", "list"]) == 0
    out = capsys.readouterr().out
    assert "fragments.smi" in out and "SMILES" in out and "primates" not in out
    monkeypatch.chdir(tmp_path)
    assert main(["data", "copy", "druglike"]) == 0
    assert (tmp_path / "druglike.toml").exists()


def test_cite(tmp_path, capsys):
    (tmp_path / "summary.json").write_text(json.dumps({}))
    (tmp_path / "run.toml").write_text('symmetry = "merged"\n[[scoring.component]]\ntype = "qed"\n')
    assert main(["cite", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for words in ("Bickerton", "Symmetry-aware", "RDKit", "Trajectory balance"):
        assert words in out
    assert main(["cite", "--bibtex", "--all"]) == 0
    assert capsys.readouterr().out.count("@") > 15


def test_score_names_columns_once_and_keeps_a_row_a_line(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "def of(smiles):\n"
        "    if 'CCN' in smiles:\n"
        "        raise ValueError('first line\\nsecond, line')\n"
        "    return [0.5 for s in smiles]\n"
    )
    config = tmp_path / "score.toml"
    config.write_text(
        "".join(
            f'[[scoring.component]]\ntype = "function"\nname = "{name}"\n'
            'params = { function = "mine.py:of" }\n'
            for name in ("reward", "reward_component", "smiles", "remark")
        )
    )
    path = tmp_path / "m.csv"
    path.write_text("id;canonical_smiles\n1;CCO\n2;CCN\n3;[Na+].[Cl-]\n")
    assert main(["score", str(path), "--config", str(config)]) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 4
    header, *rows = csv.reader(io.StringIO(captured.out))
    assert header == [
        *("smiles", "name", "reward", "reward_component_2", "reward_component"),
        *("smiles_component", "remark_component", "remark"),
    ]
    assert rows[0] == ["CCO", "1", *["0.5"] * 5, ""]
    assert rows[1][-1] == "reward: raised ValueError: first line second, line"
    assert rows[2][-1] == "has 2 components (salt)"
