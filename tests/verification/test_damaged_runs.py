"""Damaged checkpoints and killed runs: the same answer, or one line and exit code 2.

A run of each command that resumes is made once, by a script with short intervals between
checkpoints. Then its files are damaged (bits and bytes changed, ends cut off, files exchanged, JSON
and TOML edited) and it is resumed; or it is killed at a random time and resumed until it ends.
Continuous integration takes a share. A campaign:

    DAMAGE_CASES=500 KILL_CASES=20 DAMAGE_SEED=7 \
        python -m pytest tests/verification/test_damaged_runs.py -m verification
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.verification

ROOT = Path(__file__).resolve().parents[2]
SEED = int(os.environ.get("DAMAGE_SEED", "1"))
DAMAGED = int(os.environ.get("DAMAGE_CASES", "6"))
KILLED = int(os.environ.get("KILL_CASES", "1"))

# One command line after another, in this process; checkpoints as often as the run can write them.
SCRIPT = """
import dataclasses, functools, json, sys
import phylogfn.cli.main, molgen.cli.main
from phylogfn.runs.parsimony import main as parsimony_run
from phylogfn.runs.parsimony.effort import ParsimonyEffort
from phylogfn.runs.sample import main as sampling
from phylogfn.runs.sample.effort import SampleEffort
import molgen.runs.sample.main as molecules
from molgen.runs.sample.effort import SampleEffort as MoleculeEffort
parsimony_run.run_parsimony = functools.partial(
    parsimony_run.run_parsimony, effort=ParsimonyEffort(checkpoint_seconds=0.0)
)
aims = dataclasses.replace(SampleEffort().collapsed, cycle_steps=20, pilot=200, most_draws=1000)
effort = SampleEffort(collapsed=aims, walk_most=20, checkpoint_seconds=0.0)
sampling.run_sample = functools.partial(sampling.run_sample, effort=effort)
effort = MoleculeEffort(block=5, fewest_steps=20, checkpoint_seconds=0.0)
molecules.run_sample = functools.partial(molecules.run_sample, effort=effort)
MAINS = {"phylogfn": phylogfn.cli.main.main, "molgen": molgen.cli.main.main}
for line in sys.stdin:
    program, *arguments = json.loads(line)
    try:
        code = MAINS[program](arguments)
    except Exception:
        import traceback
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    print(code, flush=True)
"""
COMMANDS = {
    "phylogfn sample": [
        "phylogfn",
        "sample",
        "six.fasta",
        "--model",
        "JC69",
        "--branch-prior",
        "exp:10",
        "--samples",
        "50",
    ],
    "phylogfn parsimony": ["phylogfn", "parsimony", "six.fasta", "--samples", "50"],
    "molgen sample": [
        *["molgen", "sample", "--environment", "atoms", "--max-atoms", "3"],
        *["--elements", "C,N,O", "--samples", "20", "--reward-exponent", "1"],
    ],
}
RESULTS = {
    "phylogfn sample": ("trees.nwk", "topologies.tsv", "consensus.nwk"),
    "phylogfn parsimony": ("best_trees.nwk", "trees.tsv"),
    "molgen sample": ("library.csv", "library.smi"),
}


class Program:
    """A process that runs one command line after another, and is started again if it dies."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[str] | None = None

    def start(self, words: list[str]) -> None:
        """Begin a command."""
        if self._process is None or self._process.poll() is not None:
            self._errors = (self._directory / "stderr.txt").open("w+")
            self._process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT],
                cwd=self._directory,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        self._errors.seek(0)
        self._errors.truncate()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def wait(self) -> tuple[int, str]:
        """Exit code of the command, or of the process where it died, and standard error."""
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        code = int(line) if line.strip() else self._process.wait()
        return code, (self._directory / "stderr.txt").read_text()

    def run(self, words: list[str]) -> tuple[int, str]:
        """Run a command to its end."""
        self.start(words)
        return self.wait()

    def kill(self) -> None:
        """Kill the process, with whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout, self._errors):
                if stream is not None:
                    stream.close()
            self._process = None


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    records = (ROOT / "data" / "primates.fasta").read_text().split(">")[1:]
    with (directory / "six.fasta").open("w") as file:
        for i in (0, 1, 2, 5, 7, 11):
            name, _, body = records[i].partition("\n")
            file.write(f">{name}\n{''.join(body.split())[:150]}\n")
    running = Program(directory)
    yield running, directory
    running.kill()


@pytest.fixture(scope="module", params=COMMANDS)
def finished(request, program):
    """A finished run of a command: its name, its directory."""
    running, directory = program
    name = request.param
    output = directory / name.replace(" ", "-")
    code, errors = running.run([*COMMANDS[name], *run_options(output), "--budget", "20m"])
    assert code == 0, errors
    return name, output


def run_options(output: Path) -> list[str]:
    return ["-o", str(output), "--seed", "3", "--threads", "1", "--quiet"]


def results(name: str, output: Path) -> dict[str, str]:
    """The files of a run that a seed determines, without what depends on times."""
    return {file: (output / file).read_text() for file in RESULTS[name]}


def resume(running: Program, name: str, output: Path) -> tuple[int, str]:
    program, command = name.split()
    return running.run([program, command, "-o", str(output), "--resume", "--quiet"])


def damage(path: Path, chance: random.Random) -> str:
    """Change a file, and say how."""
    data = bytearray(path.read_bytes())
    how = chance.choice(["bit", "byte", "digit", "cut", "zeros", "insert", "delete", "empty"])
    at = chance.randrange(len(data))
    if how == "bit":
        data[at] ^= 1 << chance.randrange(8)
    elif how == "byte":
        data[at] = chance.randrange(256)
    elif how == "digit":
        digits = [i for i, byte in enumerate(data) if 48 <= byte <= 57]
        data[chance.choice(digits or [at])] = 48 + chance.randrange(10)
    elif how == "cut":
        del data[at:]
    elif how == "zeros":
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    elif how == "insert":
        data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
    elif how == "delete":
        del data[at : at + chance.randint(1, 8)]
    else:
        data.clear()
    path.write_bytes(data)
    return f"{path.name}: {how} at {at}"


def check(code: int, errors: str, what: str, same: bool) -> None:
    assert "Traceback" not in errors, (what, errors)
    if code == 0:
        assert same, (what, "another answer")
    else:
        assert code == 2, (what, code, errors)
        last = errors.strip().splitlines()[-1]
        assert ": error: " in last and last.isprintable(), (what, errors)


def test_damaged_files_give_the_same_answer_or_one_line(finished, program):
    name, output = finished
    running, directory = program
    chance = random.Random(f"{SEED} {name}")
    before = results(name, output)
    refused = 0
    for case in range(DAMAGED):
        copy = directory / "copy"
        shutil.copytree(output, copy)
        checkpoint = copy / "checkpoint"
        (tensors,) = checkpoint.glob("*.safetensors")
        files = [checkpoint / "checkpoint.json", tensors, copy / "train.jsonl"]
        what = damage(files[case % 3], chance)
        code, errors = resume(running, name, copy)
        refused += code == 2
        check(code, errors, what, code != 0 or results(name, copy) == before)
        shutil.rmtree(copy)
    assert refused >= DAMAGED // 2


def test_files_of_other_runs_are_refused(finished, program):
    """Checkpoints of other commands, seeds and settings; one file exchanged; one missing."""
    name, output = finished
    running, directory = program
    others = [directory / other.replace(" ", "-") for other in COMMANDS if other != name]
    other_seed = directory / "seed"
    words = [*COMMANDS[name], *run_options(other_seed), "--budget", "20m"]
    words[words.index("--seed") + 1] = "4"
    code, errors = running.run(words)
    assert code == 0, errors
    for other in [*others, other_seed]:
        if not other.exists():
            continue
        copy = directory / "copy"
        shutil.copytree(output, copy)
        shutil.rmtree(copy / "checkpoint")
        shutil.copytree(other / "checkpoint", copy / "checkpoint")
        code, errors = resume(running, name, copy)
        check(code, errors, f"checkpoint of {other.name}", False)
        shutil.rmtree(copy)
    shutil.copytree(output, directory / "copy")
    (mine,) = (directory / "copy" / "checkpoint").glob("*.safetensors")
    (theirs,) = (other_seed / "checkpoint").glob("*.safetensors")
    shutil.copyfile(theirs, mine)
    code, errors = resume(running, name, directory / "copy")
    check(code, errors, "tensors of another seed", False)
    mine.unlink()
    code, errors = resume(running, name, directory / "copy")
    check(code, errors, "no tensors", False)
    shutil.rmtree(directory / "copy")
    shutil.rmtree(other_seed)


def test_edited_settings_are_refused(finished, program):
    """What run.toml says of the run must be what its checkpoint comes from."""
    name, output = finished
    running, directory = program
    changes = {
        "phylogfn sample": [('"JC69"', '"K80"'), ('"insertion"', '"merging"'), ("exp:10", "exp:9")],
        "phylogfn parsimony": [('"missing"', '"state"'), ('"insertion"', '"merging"')],
        "molgen sample": [('    "O",', '    "F",'), ("max_atoms = 3", "max_atoms = 4")],
    }[name]
    for before, after in [*changes, ("seed = 3", "seed = 4")]:
        copy = directory / "copy"
        shutil.copytree(output, copy)
        text = (copy / "run.toml").read_text()
        assert before in text
        (copy / "run.toml").write_text(text.replace(before, after))
        code, errors = resume(running, name, copy)
        check(code, errors, f"{before} -> {after}", False)
        shutil.rmtree(copy)


@pytest.mark.long
def test_a_run_that_is_killed_at_any_time_and_resumed_gives_the_same_files(finished, program):
    name, output = finished
    _, directory = program
    before = results(name, output)
    chance = random.Random(f"{SEED} {name} kill")
    for _ in range(KILLED):
        killed = Program(directory)
        copy = directory / "killed"
        words = [*COMMANDS[name], *run_options(copy), "--budget", "20m"]
        for _ in range(1 if KILLED == 1 else chance.randint(1, 3)):
            killed.start(words)
            end = time.monotonic() + 100
            while not (copy / "run.toml").exists() and time.monotonic() < end:
                time.sleep(0.02)
            time.sleep(chance.uniform(0.0, 4.0))
            killed.kill()
            words = [*name.split(), "-o", str(copy), "--resume", "--quiet"]
        code, errors = killed.run(words)
        killed.kill()
        assert code == 0, errors
        assert results(name, copy) == before
        assert not list(copy.glob(".*")) and not list((copy / "checkpoint").glob(".*"))
        shutil.rmtree(copy)
