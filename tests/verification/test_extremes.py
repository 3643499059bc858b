"""Smallest and largest values of every option of every command: an answer, or one line and code 2.

Each case is a whole run in a process of its own, so that a crash of the interpreter, a hang and
memory without bounds show. Continuous integration takes a share of the cases, which differs by
EXTREMES_SEED; all of them:

    EXTREMES_CASES=1000 python -m pytest tests/verification/test_extremes.py -m verification
"""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.verification

SEED = int(os.environ.get("EXTREMES_SEED", "1"))
CASES = int(os.environ.get("EXTREMES_CASES", "3"))
SECONDS = 200  # of a run that ends by itself, on a busy machine
MEMORY = 24 * 2**30  # bytes of address space

ALIGNMENT = (
    ">a\nACGTACGTTACG\n>b\nACGAACGTTACG\n>c\nTCGAACCTTACC\n>d\nTCGATCCTAACC\n>e\nTCGATCCTAAGC\n"
)
TREES = "((a,b),(c,d),e);\n((a,c),(b,d),e);\n"
MOLECULES = "CCO ethanol\nc1ccccc1C toluene\nCC(=O)Nc1ccc(O)cc1 paracetamol\n"
SAMPLE = ["phylogfn", "sample", "a.fasta", "-o", "out", "--budget", "2s", "--samples", "20"]
PARSIMONY = ["phylogfn", "parsimony", "a.fasta", "-o", "out", "--budget", "2s", "--samples", "20"]
MOLECULE = ["molgen", "sample", "-o", "out", "--budget", "2s", "--samples", "20"]
ATOMS = [*MOLECULE, "--environment", "atoms", "--max-atoms", "3"]
EXACT = ["molgen", "exact", "-o", "out", "--budget", "2s", "--draws", "200", "--max-atoms", "2"]
LIKELIHOOD = ["phylogfn", "likelihood", "a.fasta", "t.nwk", "--evidence"]

OPTIONS = [
    (SAMPLE, "--samples", ["1", "2", "3000", "1000000"]),
    (SAMPLE, "--seed", ["0", str(2**63 - 1)]),
    (SAMPLE, "--threads", ["1", "64", "1024"]),
    (SAMPLE, "--budget", ["0.001s", "1s", "3650d"]),
    (SAMPLE, "--branch-prior", ["exp:1e-6", "exp:1e-3", "exp:1e3", "exp:1e6"]),
    (SAMPLE, "--model", ["JC69+G64{1e-6}", "JC69+G64{1e6}", "JC69+G1", "JC69+I{0}", "JC69+I{1}"]),
    (SAMPLE, "--model", ["HKY85{1e-6}", "HKY85{1e6}", "HKY85{0}", "GTR{0,0,0,0,0,1}"]),
    (SAMPLE, "--model", ["GTR{1e6,1e-6,1e6,1e-6,1,1}", "F81{1,0,0,0}", "K80{1e-300}"]),
    (SAMPLE, "--model", ["F81{0.9999997,0.0000001,0.0000001,0.0000001}", "JC69+G4{1e-300}"]),
    (SAMPLE, "--model", ["GTR+F+G64+I", "HKY85+FO+G2+I", "K80+FQ+G1+I"]),
    (PARSIMONY, "--samples", ["1", "3000"]),
    (PARSIMONY, "--seed", ["0", str(2**63 - 1)]),
    (PARSIMONY, "--temperature", ["0.05", "20", "0.05,20", "0.0499", "20.1"]),
    (PARSIMONY, "--excess", ["0", "0.001", "1e6", "1e300"]),
    (PARSIMONY, "--threads", ["1", "1024"]),
    (LIKELIHOOD, "--draws", ["1", "2", "1000000"]),
    (LIKELIHOOD, "--seed", ["0", str(2**63 - 1)]),
    (LIKELIHOOD, "--threads", ["1024"]),
    (["phylogfn", "compare", "t.nwk", "t.nwk"], "--burnin", ["0", "0.5", "0.999999", "1"]),
    (["phylogfn", "compare", "t.nwk", "t.nwk"], "--min-frequency", ["0", "1", "1.1"]),
    (["phylogfn", "consensus", "t.nwk"], "--burnin", ["0", "0.999999", "1"]),
    (MOLECULE, "--max-atoms", ["1", "2", "200", "10000"]),
    (MOLECULE, "--max-fragments", ["1", "50", "10000"]),
    (MOLECULE, "--oracle-calls", ["1", "2", "63", "1000000000"]),
    (MOLECULE, "--reward-exponent", ["0", "1e-6", "1000", "1e6"]),
    (MOLECULE, "--max-per-scaffold", ["1", "1000000000"]),
    (ATOMS, "--samples", ["1", "3000"]),
    (ATOMS, "--max-atoms", ["1", "64", "65", "10000"]),
    (ATOMS, "--ring-sizes", ["3", "10000", "any", "none", "2"]),
    (ATOMS, "--max-rings", ["0", "10000", "any"]),
    (ATOMS, "--reward-exponent", ["0", "400", "1e6"]),
    (ATOMS, "--oracle-calls", ["1", "1000000000"]),
    (ATOMS, "--seed", ["0", str(2**63 - 1)]),
    (ATOMS, "--threads", ["1024"]),
    ([*ATOMS, "--objective", "order_preserving"], "--order-temperature", ["1e-300", "1e300"]),
    (
        [*ATOMS, "--objective", "sub_trajectory_balance"],
        "--sub-trajectory-lambda",
        ["1e-300", "1e300"],
    ),
    (EXACT, "--draws", ["1", "2", "100000"]),
    (EXACT, "--max-atoms", ["1", "0"]),
    ([*EXACT, "--elements", "C"], "--max-atoms", ["1"]),
    (EXACT, "--seed", ["0", str(2**63 - 1)]),
    (["molgen", "fragments", "m.smi", "--method", "rings"], "--max-fragments", ["1", "1000000000"]),
    (["molgen", "fragments", "m.smi", "--method", "rings"], "--min-count", ["1", "1000000000"]),
    (["molgen", "score", "m.smi"], "--threads", ["1", "1024"]),
]
EVERY = [(*command, option, value) for command, option, values in OPTIONS for value in values]
# days of work, or what only a machine with more memory answers: tried by hand
LONG = {("--budget", "3650d"), ("--samples", "1000000"), ("--draws", "1000000")}


def without(command: tuple[str, ...]) -> list[str]:
    """The command with the last of its options given once."""
    *head, option, value = command
    if option in head:
        at = head.index(option)
        del head[at : at + 2]
    return [*head, option, value]


def chosen() -> list[list[str]]:
    short = [case for case in EVERY if case[-2:] not in LONG]
    picked = random.Random(SEED).sample(short, min(CASES, len(short)))
    return [without(case) for case in picked]


@pytest.mark.parametrize("command", chosen(), ids=lambda command: " ".join(command))
def test_an_answer_or_one_line(command, tmp_path):
    for name, text in (("a.fasta", ALIGNMENT), ("t.nwk", TREES), ("m.smi", MOLECULES)):
        (tmp_path / name).write_text(text)
    code, errors = run(command, tmp_path)
    assert "Traceback" not in errors and "Error:" not in errors, errors
    assert code in (0, 1, 2, 3), (code, errors)
    if code == 2:
        assert errors.strip().splitlines()[-1].startswith(f"{command[0]}: error: "), errors


def run(command: list[str], directory: Path) -> tuple[int, str]:
    """Exit code and standard error of a command."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    return done.returncode, done.stderr
