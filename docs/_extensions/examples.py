"""The examples of the documentation: found in its pages, run, and remembered.

A page is Markdown. Its examples are fenced blocks, in the order in which they stand:

* ``{run}``: shell commands, with options in lines ``:name: value`` above them (`OPTIONS`);
* ``{file} NAME``: a file that is written before the blocks below it run;
* ``{uses} PAGE``: the page begins with a copy of the folder in which that page's examples ran.

Each page runs in a folder of its own, two pages at a time. What a page printed is kept under a
hash of its blocks, of the page it uses and of the sources of the programs, and is run again when
one of these changes. Nothing here knows of Sphinx.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = [
    "FEW_SAMPLES",
    "OPTIONS",
    "Block",
    "Outcome",
    "blocks_of",
    "executed",
    "failure",
    "run_pages",
    "runs",
    "sizes",
    "source_digest",
]

OPTIONS = {"show", "head", "tail", "cut", "status", "needs", "keep", "picture", "alt"}
"""Options of a run block: which output is shown (stdout, stderr, both, none), how much of it
(first lines, last lines, characters a line), the exit code expected, programs without which it is
not run, files that the page links to, a picture that it shows, and what the picture shows."""

_FENCE = re.compile(
    r"^(?P<ticks>`{3,})\{(?P<kind>run|file|uses)\}[ \t]*(?P<argument>[^\n]*)\n"
    r"(?P<body>.*?)^(?P=ticks)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_OPTION = re.compile(r":([a-z]+):[ \t]*(.*)")
# options of command lines, and keywords of calls in Python
_SIZE = re.compile(
    r"--(?P<option>budget|samples)[ =](?P<value>\S+)"
    r'|\bbudget=(?P<quote>\\*")(?P<budget>[0-9.]+[smh])\\*"'
    r"|\bsamples=(?P<samples>[0-9]+)"
)
_UNLIMITED = re.compile(
    r"^(?:phylogfn (?:sample|parsimony)|molgen (?:sample|exact)) (?!.*--(?:budget|resume)).*[^\\]$",
    re.MULTILINE,
)
FEW_SAMPLES = 100
_DURATION = re.compile(r"([0-9.]+)([smh])")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_TIME_LIMIT = 900  # seconds a block may take before the build gives it up


@dataclass(frozen=True)
class Block:
    """One example: what it is, its options, its text and the line where it begins."""

    kind: str
    argument: str
    options: dict[str, str]
    body: str
    line: int


@dataclass
class Outcome:
    """What a run block did.

    Parameters
    ----------
    command : str
        The commands as they were run; they differ from the page's where budgets were made small.
    status : int
        Exit code of the last command, or of the first that failed.
    stdout, stderr : str
        What was printed.
    missing : str
        The program for lack of which nothing was run, or "".
    seconds : float
        How long it took.
    kept : list of str
        The files asked for that it wrote.
    """

    command: str
    status: int = 0
    stdout: str = ""
    stderr: str = ""
    missing: str = ""
    seconds: float = 0.0
    kept: list[str] = field(default_factory=list)


def blocks_of(text: str) -> list[Block]:
    """Return the examples of a page, in order.

    Raises
    ------
    ValueError
        If a block has an option that there is not.
    """
    found = []
    for match in _FENCE.finditer(text):
        options: dict[str, str] = {}
        lines = match["body"].splitlines()
        while match["kind"] == "run" and lines and (option := _OPTION.fullmatch(lines[0])):
            if option[1] not in OPTIONS:
                line = text.count("\n", 0, match.start()) + 1
                raise ValueError(f"line {line}: no option {option[1]!r} of run; {sorted(OPTIONS)}")
            options[option[1]] = option[2]
            lines.pop(0)
        line = text.count("\n", 0, match.start()) + 1
        found.append(
            Block(match["kind"], match["argument"].strip(), options, "\n".join(lines), line)
        )
    return found


def executed(command: str, smallest: str | None) -> str:
    """Return commands or scripts with budgets of at most ``smallest`` (unchanged if it is None).

    They draw at most `FEW_SAMPLES`. Commands without a budget get this one.
    """
    if smallest is None:
        return command

    def smaller(match: re.Match[str]) -> str:
        if match["option"] == "samples":
            return f"--samples {min(int(match['value']), FEW_SAMPLES)}"
        if match["option"] == "budget":
            return f"--budget {min(match['value'], smallest, key=_seconds)}"
        if match["samples"]:
            return f"samples={min(int(match['samples']), FEW_SAMPLES)}"
        quote = match["quote"]  # with a backslash in the text of a notebook
        return f"budget={quote}{min(match['budget'], smallest, key=_seconds)}{quote}"

    command = _SIZE.sub(smaller, command)
    return _UNLIMITED.sub(lambda match: f"{match[0]} --budget {smallest}", command)


def sizes(command: str) -> list[str]:
    """Return the options that set how much is done, as they stand in commands or scripts."""
    return list(dict.fromkeys(match[0] for match in _SIZE.finditer(command)))


def _seconds(duration: str) -> float:
    match = _DURATION.fullmatch(duration)
    return float(match[1]) * _SECONDS[match[2]] if match else float("inf")


def source_digest(root: Path) -> str:
    """Return a hash of all that an example's output depends on: programs, data, pipelines."""
    digest = hashlib.sha256(sys.version.encode())
    for folder in ("gfncore", "phylogfn", "molgen", "data", "pipelines"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.relative_to(root).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def run_pages(
    pages: dict[str, list[Block]],
    scratch: Path,
    sources: str,
    smallest: str | None = None,
    workers: int = 2,
) -> tuple[dict[str, list[Outcome]], dict[str, str]]:
    """Run the examples of all pages, or recall what they printed.

    Parameters
    ----------
    pages : dict of str to list of Block
        By page.
    scratch : Path
        Folder of what is kept: the pages' folders (``PAGE/``) and outcomes (``PAGE.json``).
    sources : str
        Hash of the programs, see `source_digest`.
    smallest : str, optional
        Budgets are made no larger than this.
    workers : int
        Pages run at a time.

    Returns
    -------
    outcomes : dict of str to list of Outcome
        By page, one for each of its run blocks.
    keys : dict of str to str
        By page, the hash of what its outcomes depend on.
    """
    keys: dict[str, str] = {}
    futures: dict[str, Future[list[Outcome]]] = {}
    with ThreadPoolExecutor(workers) as pool:
        for page in _in_order(pages):
            used = _used(pages[page])
            described = [asdict(block) | {"line": 0} for block in pages[page]]
            text = json.dumps([described, sources, smallest, [keys[name] for name in used]])
            keys[page] = hashlib.sha256(text.encode()).hexdigest()
            before = [(name, futures[name]) for name in used]
            futures[page] = pool.submit(
                _run_page, page, pages[page], before, keys[page], scratch, smallest
            )
        return {page: future.result() for page, future in futures.items()}, keys


def _used(blocks: Iterable[Block]) -> list[str]:
    return [block.argument for block in blocks if block.kind == "uses"]


def _in_order(pages: dict[str, list[Block]]) -> list[str]:
    """Pages that others use first: those wait for them, and must not keep them from starting."""
    ordered: list[str] = []

    def add(page: str, above: tuple[str, ...]) -> None:
        if page in above or page not in pages:
            raise ValueError(f"{above[-1] if above else page}: uses {page}, which is not possible")
        for used in _used(pages[page]):
            add(used, (*above, page))
        if page not in ordered:
            ordered.append(page)

    for page in pages:
        add(page, ())
    return ordered


def _run_page(
    page: str,
    blocks: Sequence[Block],
    before: Sequence[tuple[str, Future[list[Outcome]]]],
    key: str,
    scratch: Path,
    smallest: str | None,
) -> list[Outcome]:
    for _, future in before:
        future.result()
    folder, record = scratch / page, scratch / f"{page}.json"
    if record.is_file() and folder.is_dir():
        stored = json.loads(record.read_text())
        if stored["key"] == key:
            return [Outcome(**outcome) for outcome in stored["outcomes"]]
    record.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    outcomes = []
    for block in blocks:
        if block.kind == "uses":
            shutil.copytree(scratch / block.argument, folder, dirs_exist_ok=True)
        elif block.kind == "file":
            path = folder / block.argument
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(executed(block.body, smallest) + "\n")
        else:
            outcomes.append(_run_block(block, folder, smallest))
    if not any(map(failure, runs(blocks), outcomes)):
        text = json.dumps({"key": key, "outcomes": [asdict(outcome) for outcome in outcomes]})
        record.write_text(text)
    return outcomes


# With the smallest budgets a run may have too few effective draws, which its exit code 3 says, and
# so may a script that reads its summary.
_TOLERANT = """phylogfn() {
  command phylogfn "$@" || { local code=$?; [ $code -eq 3 ] || return $code; }
}
python() {
  command python "$@" || { local code=$?; [ $code -eq 3 ] || return $code; }
}
"""


def runs(blocks: Iterable[Block]) -> list[Block]:
    """Return the blocks that run commands."""
    return [block for block in blocks if block.kind == "run"]


def _run_block(block: Block, folder: Path, smallest: str | None) -> Outcome:
    outcome = Outcome(executed(block.body, smallest))
    for program in block.options.get("needs", "").split():
        if _is_missing(program):
            outcome.missing = program
            return outcome
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "LC_ALL": "C.UTF-8",
    }
    began = time.monotonic()
    command = outcome.command if smallest is None else _TOLERANT + outcome.command
    try:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT,
            check=False,
        )
        outcome.status, outcome.stdout, outcome.stderr = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired:
        outcome.status, outcome.stderr = 124, f"not finished after {_TIME_LIMIT} s"
    outcome.seconds = round(time.monotonic() - began, 1)
    wanted = block.options.get("keep", "").split() + block.options.get("picture", "").split()
    outcome.kept = [name for name in wanted if (folder / name).is_file()]
    return outcome


def _is_missing(needed: str) -> bool:
    """Whether a program, a Python package (``python:NAME``) or one of R (``R:NAME``) is lacking."""
    kind, _, name = needed.rpartition(":")
    if kind == "python":
        code = f"from importlib.util import find_spec; raise SystemExit(not find_spec({name!r}))"
        return subprocess.run([sys.executable, "-c", code], check=False).returncode != 0
    if kind == "R":
        code = f"quit(status = !requireNamespace({name!r}, quietly = TRUE))"
        return (
            _is_missing("Rscript")
            or subprocess.run(["Rscript", "-e", code], check=False).returncode != 0
        )
    return shutil.which(needed) is None and not (Path(sys.executable).parent / needed).exists()


def failure(block: Block, outcome: Outcome) -> str | None:
    """Return what is wrong with an outcome, or None."""
    if outcome.missing:
        return None
    expected = int(block.options.get("status", "0"))
    if outcome.status != expected:
        last = "\n".join((outcome.stdout + outcome.stderr).splitlines()[-15:])
        return f"exit code {outcome.status}, not {expected}, of\n{outcome.command}\n{last}"
    wanted = block.options.get("keep", "").split() + block.options.get("picture", "").split()
    lacking = [name for name in wanted if name not in outcome.kept]
    if lacking:
        return f"did not write {', '.join(lacking)}: {outcome.command}"
    return None
