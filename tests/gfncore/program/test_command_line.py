"""Command lines: wrong numbers, texts and configuration files are one line, exit code 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import molgen.cli.main
import phylogfn.cli.main

HUGE = "9" * 4301
PROGRAMS = {"phylogfn": phylogfn.cli.main.main, "molgen": molgen.cli.main.main}
SAMPLE = {"phylogfn": ["sample", "x", "-o", "y"], "molgen": ["sample", "-o", "y"]}
INTEGERS = [
    ("phylogfn", ["sample", "x", "-o", "y"], ("--samples", "--seed", "--threads")),
    ("phylogfn", ["parsimony", "x", "-o", "y"], ("--samples", "--seed", "--threads")),
    ("phylogfn", ["likelihood", "x", "y"], ("--draws", "--seed", "--threads")),
    (
        "molgen",
        ["sample", "-o", "y"],
        (
            "--samples",
            "--seed",
            "--threads",
            "--oracle-calls",
            "--max-atoms",
            "--max-fragments",
            "--max-per-scaffold",
            "--ring-sizes",
            "--max-rings",
        ),
    ),
    ("molgen", ["exact", "-o", "y"], ("--draws", "--seed", "--threads", "--max-atoms")),
    ("molgen", ["fragments", "x"], ("--max-fragments", "--min-count")),
    ("molgen", ["score", "x"], ("--threads",)),
]
DECIMALS = [
    ("phylogfn", ["parsimony", "x", "-o", "y"], ("--excess", "--temperature")),
    ("phylogfn", ["compare", "x", "y"], ("--burnin", "--min-frequency")),
    ("phylogfn", ["consensus", "x"], ("--burnin",)),
    ("molgen", ["sample", "-o", "y"], ("--reward-exponent", "--order-temperature")),
]


def said(program, arguments, capsys):
    """The error line of a command that must fail with code 2."""
    code = PROGRAMS[program](arguments)
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if ": error: " in line]
    assert code == 2 and len(lines) == 1 and lines[0] == err.splitlines()[-1], (code, out, err)
    return lines[0].removeprefix(f"{program}: error: ")


@pytest.mark.parametrize(
    "text", [HUGE, "99999999999999999999", "-1", "1_0", "\u0663", "nan", "1.5"]
)
@pytest.mark.parametrize(("program", "arguments", "options"), INTEGERS)
def test_integers_of_every_command(
    program, arguments, options, text, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for option in options:
        if option == "--max-rings" and program == "molgen" and text == "-1":
            continue  # cyclopts takes it for an option; told as such
        line = said(program, [*arguments, f"{option}={text}"], capsys)
        assert option in line and len(line) < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "1_0", "\u0663", "0,5x", HUGE])
@pytest.mark.parametrize(("program", "arguments", "options"), DECIMALS)
def test_decimal_numbers_of_every_command(
    program, arguments, options, text, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for option in options:
        line = said(program, [*arguments, f"{option}={text}"], capsys)
        assert option in line and len(line) < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["0", "-5", "nan", "inf", "1e3", HUGE, HUGE + "h", "1h30", "\u0663s"]
)
@pytest.mark.parametrize("program", PROGRAMS)
def test_durations(program, text, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = said(program, [*SAMPLE[program], f"--budget={text}"], capsys)
    assert line.startswith("--budget: ") and len(line) < 300


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"seed = {HUGE}", "a number of thousands of digits"),
        ("seed = 99999999999999999999", "has an integer of 67 bits"),
        ("a = " + "[" * 5000 + "]" * 5000, "nested more than 50 levels"),
        ("a = " + "{a=" * 5000 + "1" + "}" * 5000, "nested more than 50 levels"),
        (".".join(["a"] * 5000) + " = 1", "nested more than 50 levels"),
        ("[" + ".".join(["a"] * 500) + "]", "nested more than 50 levels"),
        ("samples = true", "samples: true is a Boolean value"),
        ("samples = 1.5", "samples: '1.5' is not an integer"),
        ("samples = nan", "samples: 'nan' is not an integer"),
        ("samples = '1_0'", "samples: '1_0' is not an integer"),
        ("seed = [1]", "seed: '[1]' is not an integer"),
        ("budget = nan", "budget: 'nan' is not a duration"),
        ("budget = inf", "budget: 'inf' is not a duration"),
        ("threads = 2000-01-01", "threads: '2000-01-01' is not an integer"),
        ("\ufeffthreads = 0", "threads: 0 is out of range"),
        ("threads = 0\x01", "is not valid TOML"),
        ('budget = "a\\u0000b"', "contains a NUL character"),
    ],
)
@pytest.mark.parametrize("program", PROGRAMS)
def test_configuration_files(program, content, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text(content, encoding="utf-8")
    line = said(program, [*SAMPLE[program], "--config", "my.toml"], capsys)
    assert line.startswith("my.toml: ") and words in line and len(line) < 300


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_configuration_file_of_any_size(program, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_bytes(b"#" * (4 * 2**20 + 1))
    for path, words in (
        ("my.toml", "is larger than 4 MiB"),
        ("/dev/zero", "is larger than 4 MiB"),
        (".", "is a folder"),
        ("n" * 300, "File name too long"),
    ):
        assert words in said(program, [*SAMPLE[program], "--config", path], capsys)


@pytest.mark.parametrize(
    ("program", "arguments", "place"),
    [
        ("phylogfn", ["sample", "x", "-o", "o\udcff"], "--output"),
        ("phylogfn", ["sample", "x\udcff", "-o", "o"], "ALIGNMENT"),
        ("phylogfn", ["sample", "x", "-o", "o", "--config", "c\udcff"], "--config"),
        ("phylogfn", ["sample", "x", "-o", "o", "--model", "JC69\udcff"], "--model"),
        ("phylogfn", ["parsimony", "x", "-o", "o\udcff"], "--output"),
        ("molgen", ["sample", "-o", "o\udcff"], "--output"),
        ("molgen", ["sample", "-o", "o", "--fragments", "f\udcff"], "--fragments"),
        ("molgen", ["exact", "-o", "o\udcff"], "--output"),
        ("molgen", ["exact", "-o", "o", "--config", "c\udcff"], "--config"),
    ],
)
def test_names_that_are_not_utf_8_are_refused_at_the_start(
    program, arguments, place, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("x\udcff").write_text("x")
    Path("c\udcff").write_text("")
    line = said(program, arguments, capsys)
    assert line.startswith(f"{place}: the name ") and "is not valid UTF-8" in line
    assert "\\udcff" in line
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["c\udcff", "x\udcff"]


def test_files_that_are_only_read_or_copied_may_have_any_name(tmp_path):
    tree, copy = tmp_path / "t\udcff\n.nwk", tmp_path / "c\udcff"
    tree.write_text("((a,b),c,d);")
    command = [sys.executable, "-m", "phylogfn", "compare", tree, tree]
    done = subprocess.run(command, capture_output=True, check=True)
    assert os.fsencode(tree) in done.stdout
    command = [sys.executable, "-m", "phylogfn", "data", "copy", "primates", copy]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == os.fsencode(copy) + b"\n" and copy.is_file()


def test_a_message_is_one_line_whatever_the_name(tmp_path, capsys):
    for name in ("a\nb", "a\rb", "a\x1b[31mb", "a\u2028b"):
        line = said("phylogfn", ["consensus", str(tmp_path / name)], capsys)
        assert line.isprintable() and line.endswith(": no such file")


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full"])
def test_closed_and_full_streams(streams, tmp_path):
    tree = tmp_path / "t.nwk"
    tree.write_text("((a,b),c,d);")
    command = f'"$0" -m phylogfn consensus "$1" {streams}'
    done = subprocess.run(["sh", "-c", command, sys.executable, tree], capture_output=True)
    full = streams == ">/dev/full"
    assert done.returncode == (2 if full else 0)
    assert done.stderr == (b"phylogfn: error: No space left on device\n" if full else b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_results_are_utf_8_in_every_locale(encoding, tmp_path):
    tree = tmp_path / "t.nwk"
    tree.write_text("((\u03b1,b),c,d);", encoding="utf-8")
    command = [sys.executable, "-m", "phylogfn", "consensus", tree]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, check=True, env=environment)
    assert "\u03b1" in done.stdout.decode()


def test_a_current_directory_that_is_gone_is_one_line(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for program, arguments in SAMPLE.items():
        assert "the current directory has been deleted" in said(program, arguments, capsys)


@pytest.mark.parametrize("problem", [MemoryError(), MemoryError("Unable to allocate 9 TiB")])
def test_memory_that_does_not_suffice_is_one_line(problem, monkeypatch, capsys):
    def fails(*_, **__):
        raise problem

    monkeypatch.setattr("phylogfn.trees.samples.read_tree_sample", fails)
    line = said("phylogfn", ["consensus", "x"], capsys)
    assert line.startswith("not enough memory") and str(problem) in line


def test_a_mistake_of_the_program_stays_a_traceback(monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr("phylogfn.trees.samples.read_tree_sample", fails)
    with pytest.raises(RuntimeError, match="a bug"):
        phylogfn.cli.main.main(["consensus", "x"])


def test_control_characters_of_files_do_not_reach_the_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.smi").write_text("\x1b[31mfoo bar\nCCO x\n")
    Path("b\x1b[31m.smi").write_text("foo\nCCO x\n")
    for name in ("a.smi", "b\x1b[31m.smi"):
        assert molgen.cli.main.main(["score", name, "--threads", "1"]) == 1
        error = capsys.readouterr().err
        assert "skipped" in error and "\\x1b[31m" in error and "\x1b" not in error
    for program, words in SAMPLE.items():
        assert PROGRAMS[program]([*words[:-1], "o\x1b[31m", "--samples", "0"]) == 2
        error = capsys.readouterr().err
        assert "--samples: 0 is out of range" in error and "\x1b" not in error
