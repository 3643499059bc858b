"""How the programs start: quickly, and with nothing heavy for help or for an error."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "torch_geometric", "rdkit", "numba", "pandas", "scipy", "Bio", "distributed")
CODE = """
import sys
from {package}.cli.main import main
code = main({arguments!r})
print("imported", *[name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""


def start(package, *arguments):
    """Exit code, the heavy modules that were imported, what was said, CPU seconds."""
    code = CODE.format(package=package, arguments=list(arguments), heavy=HEAVY)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    *said, last = done.stderr.splitlines()
    assert last.startswith("imported"), done.stderr
    return done.returncode, last.split()[1:], "\n".join(said), used


@pytest.mark.parametrize("package", ["phylogfn", "molgen"])
def test_help_and_version_start_quickly(package):
    """CPU time, as the time by the clock depends on what else the machine does.

    It is compared with that of importing the package of the options alone, because processors and
    their load differ.
    """
    code = "import resource, cyclopts, rich.panel; r = resource.getrusage(resource.RUSAGE_SELF)"
    code += "; print(r.ru_utime + r.ru_stime)"
    least = min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(3)
    )
    found = [start(package, option) for option in ("--help", "--version", "--help")]
    assert [code for code, *_ in found] == [0, 0, 0]
    assert [imported for _, imported, *_ in found] == [[], [], []]
    assert min(used for *_, used in found[::2]) <= 4.0 * least


@pytest.mark.parametrize("command", ["sample", "parsimony"])
@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("primats.fasta", None, "primats.fasta: no such file"),
        ("empty.fasta", "", "empty.fasta: is empty"),
        ("uneven.fasta", ">a\nACGT\n>b\nACG\n>c\nACGT\n", "uneven.fasta"),
    ],
)
def test_a_wrong_alignment_is_told_before_anything_heavy(tmp_path, command, name, text, words):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    code, imported, said, _ = start("phylogfn", command, str(path), "-o", str(tmp_path / "out"))
    assert code == 2
    assert words in said
    assert set(imported) <= {"Bio"}  # which reads some formats
    assert not (tmp_path / "out").exists()


def test_the_version_is_known_to_python_programs():
    import phylogfn

    assert phylogfn.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'version'"):
        _ = phylogfn.version  # type: ignore[attr-defined]


def test_scores_of_molecules_need_no_network(tmp_path):
    path = tmp_path / "molecules.smi"
    path.write_text("CCO\n")
    code, imported, _, _ = start("molgen", "score", str(path), "--reward", "druglike")
    assert code == 0
    assert set(imported) <= {"rdkit"}
