"""Builds the package, installs it outside the checkout, and runs the tutorial's commands there.

    python tests/packaging/installed_package.py            # the packages beside this Python serve
    python tests/packaging/installed_package.py --full     # all are installed, kernels compiled
    python tests/packaging/installed_package.py --python DIR/bin/python   # where it is installed
    python tests/packaging/installed_package.py --environment DIR   # which is kept, for more to run

The wheel is built from the unpacked sdist, so what is missing in the one is missing in the other.
Exit code 1 with one line where something is wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("phylogfn", "molgen", "gfncore")
LARGEST_WHEEL = 2_000_000  # bytes

# command, and a regular expression that is found in what it prints
COMMANDS = (
    ("phylogfn --version", r"phylogfn \d"),
    ("phylogfn data list", r"primates\.fasta"),
    ("phylogfn data copy primates.fasta", r""),
    (
        "phylogfn sample primates.fasta -o trees --model JC69 --budget 60s --samples 100 --seed 1 "
        "--quiet",
        r"",
    ),
    ("phylogfn likelihood primates.fasta trees/consensus.nwk", r"-6\d{3}\.\d"),
    ("phylogfn consensus trees/trees.nwk", r"Homo_sapiens.*;"),
    (
        "phylogfn compare trees/posterior.run1.t trees/posterior.run2.t",
        r"rf_consensus\t\d",
    ),
    ("phylogfn cite trees", r"PhyloGFN"),
    ("molgen --version", r"molgen \d"),
    ("molgen data list", r"fragments\.smi"),
    ("molgen rewards", r"qed"),
    (
        "molgen sample -o library --samples 20 --budget 20s --oracle-calls 1000 --seed 1 --quiet",
        r"",
    ),
    ("molgen score library/library.csv --reward druglike", r"(?m)^smiles,(.*\n){15}"),
    (
        "molgen exact -o exact --elements C,O --max-atoms 2 --budget 2s --draws 500 "
        "--symmetry merged --quiet",
        r"",
    ),
    ("molgen cite library", r"(?i)gflownet"),
)
FILES = (
    "trees/summary.json",
    "trees/report.html",
    "trees/consensus.con.tre",
    "library/summary.json",
    "library/library.sdf",
    "library/report.html",
    "exact/exact.json",
)
CHECK_IMPORTS = (
    "import importlib.util as u, sys, phylogfn, molgen, gfncore\n"
    "print(*(m.__file__ for m in (phylogfn, molgen, gfncore)), sep='\\n')\n"
    "print([n for n in ('data', 'pipelines', 'tests', 'benchmarks', 'docs') if u.find_spec(n)])"
)


class Wrong(Exception):
    """The package is not as it should be."""


def run(command: Sequence[str | Path], folder: Path, **environment: str) -> str:
    """Run a command, and return what it prints on standard output."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise Wrong(f"'{words}' ended with exit code {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def build(folder: Path) -> tuple[Path, Path]:
    """Build the sdist from the checkout and the wheel from the sdist; returns both."""
    run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder], ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as place:
        with tarfile.open(sdist) as archive:
            archive.extractall(place, filter="data")
        (source,) = Path(place).iterdir()
        run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], source)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def check_content(sdist: Path, wheel: Path) -> None:
    """What must be in them, and what must not."""
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    for needed in ("LICENSE", "README.md", "pyproject.toml", "data/primates.fasta"):
        if needed not in inside:
            raise Wrong(f"{sdist.name} has no {needed}")
    size = wheel.stat().st_size
    if size > LARGEST_WHEEL:
        raise Wrong(f"{wheel.name} has {size:,} bytes, more than {LARGEST_WHEEL:,}")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    folders = {name.partition("/")[0] for name in names}
    known = {*PACKAGES, "gfncore_share"}
    others = {name for name in folders - known if not name.endswith(".dist-info")}
    if others or not known <= folders:
        raise Wrong(f"{wheel.name} holds {sorted(folders)}, not {sorted(known)}")
    if not any(name.endswith("licenses/LICENSE") for name in names):
        raise Wrong(f"{wheel.name} has no licence")
    stray = [n for n in names if re.search(r"(^|/)(tests?|__pycache__)/|\.(pyc|nb[ci])$", n)]
    if stray:
        raise Wrong(f"{wheel.name} holds {stray[0]}")
    print(f"{sdist.name}: {sdist.stat().st_size:,} bytes; {wheel.name}: {size:,} bytes")


def install(wheel: Path, folder: Path, full: bool) -> Path:
    """Install the wheel in a new environment, and return its Python."""
    run([sys.executable, "-m", "venv", *([] if full else ["--without-pip"]), folder], ROOT)
    python = folder / "bin" / "python"
    if full:
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        limits = ["-c", ROOT / "constraints.txt"]
        run([*pip, *limits, *os.environ.get("TORCH_ARGS", "").split(), "torch"], ROOT)
        run([*pip, *limits, wheel], ROOT)
        run([python, "-m", "pip", "check"], ROOT)
        return python
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    run([*pip, "--disable-pip-version-check", "--no-deps", "--no-index", wheel], ROOT)
    (site,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file is searched, but the .pth files in it are not read: the packages beside
    # this Python are there, and the checkout, which is one by such a file, is not.
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    _take_compiled_code(site)
    return python


def _take_compiled_code(site: Path) -> None:
    """Copy the kernels that the checkout has compiled, with the times of change of all files.

    A kernel that is older than a file that it may take from is compiled again, see
    `gfncore.compiled_code`.
    """
    for source in sorted(path for p in PACKAGES for path in (ROOT / p).rglob("*.py")):
        target = site / source.relative_to(ROOT)
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            raise Wrong(f"{source.relative_to(ROOT)} differs in the wheel")
        shutil.copystat(source, target)
        cache = target.parent / "__pycache__"
        cache.mkdir(exist_ok=True)
        for compiled in (source.parent / "__pycache__").glob(f"{source.stem}.*.nb?"):
            shutil.copy2(compiled, cache)


def run_tutorial(python: Path, folder: Path) -> None:
    """Run the commands in an empty folder with the programs that lie beside a Python."""
    found = run([python, "-I", "-c", CHECK_IMPORTS], folder).splitlines()
    prefix = python.absolute().parent.parent
    for line in found[:3]:
        if not Path(line).resolve().is_relative_to(prefix.resolve()):
            raise Wrong(f"{line} is imported, which is not in {prefix}")
    if found[3] != "[]":
        raise Wrong(f"{found[3]} can be imported")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for line, pattern in COMMANDS:
        program, *words = line.split()
        start = time.perf_counter()
        printed = run([python.parent / program, *words], folder, CUDA_VISIBLE_DEVICES="")
        print(f"{time.perf_counter() - start:6.1f} s  {line}", flush=True)
        if not re.search(pattern, printed):
            raise Wrong(f"'{line}' printed no '{pattern}' but: {printed[:500]}")
        if words == ["--version"] and printed.split() != [program, version]:
            raise Wrong(f"'{line}' printed {printed!r}, not version {version}")
    for name in FILES:
        if not (folder / name).is_file() or not (folder / name).stat().st_size:
            raise Wrong(f"{name} was not written")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--python", type=Path)
    parser.add_argument("--environment", type=Path)
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    given = parser.parse_args()
    start = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            (folder / "work").mkdir()
            python = given.python
            if python is None:
                (folder / "dist").mkdir()
                sdist, wheel = build(folder / "dist")
                check_content(sdist, wheel)
                environment = folder / "environment"
                if given.environment is not None:
                    environment = given.environment.absolute()
                    shutil.rmtree(environment, ignore_errors=True)
                python = install(wheel, environment, given.full)
                print(f"{time.perf_counter() - start:6.1f} s  built and installed", flush=True)
                given.dist.mkdir(exist_ok=True)
                for built in (sdist, wheel):
                    shutil.copy2(built, given.dist)
            run_tutorial(python, folder / "work")
    except Wrong as problem:
        print(f"installed_package.py: error: {problem}", file=sys.stderr)
        return 1
    print(f"{time.perf_counter() - start:6.1f} s  all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
