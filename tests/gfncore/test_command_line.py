"""Command lines: wrong numbers, texts and configuration files are one line, exit code 2."""

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
        ("samples = true", "samples: true is a truth value"),
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
