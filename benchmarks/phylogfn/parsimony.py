"""Parsimony scores a second, and the search for shortest trees, beside R phangorn.

    python -m benchmarks.phylogfn.parsimony DS1.fasta DS3.fasta DS5.fasta --seconds 60

First table: scores a second of random trees, 64 taxa and 1,000 characters of four states that
evolved on a tree, one thread. Phangorn scores the same trees (`parsimony` of a list of trees, its
fastest form, in a process that has read all before the clock starts); scores must agree before
anything is timed. Both are timed in turns; figures are medians of the rounds (lowest-highest).

Second table: for each alignment and seed the best score, seconds until it was first reached, and
how many distinct trees were found at the best score of all, and within one step of it. Our search
ends by its own rule, `--seconds` at the latest; phangorn's ratchet (`pratchet`, all = TRUE) goes on
for `--seconds`, and every tree that one of its rounds ended at counts. Compiling is not timed.

Phangorn is run through `Rscript` (Debian: `r-cran-phangorn`). Where it is missing, the tables say
so and hold our own figures alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from benchmarks.machine import markdown_table, measured_on
from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.characters import Characters, parsimony_characters
from phylogfn.parsimony.scores import ParsimonyScorer
from phylogfn.parsimony.search import SearchProgress, search
from phylogfn.parsimony.table import ParsimonyTable
from phylogfn.trees.files import read_trees
from phylogfn.trees.tree import canonical_newick, random_topology

PEER = "phangorn"
SCRIPT = Path(__file__).with_name("phangorn.R")
CHANGE = 0.1  # probability that a simulated character is drawn anew on a branch
ABSENT = "phangorn is not installed (Debian: r-cran-phangorn): our own figures alone"


def simulated(n_taxa: int, n_characters: int, seed: int) -> Characters:
    """Characters of four states that evolved on a random tree; none is left out."""
    rng = np.random.default_rng(seed)
    tree = random_topology(n_taxa, rng)
    states = np.zeros((2 * n_taxa - 2, n_characters), np.uint32)
    states[0] = rng.integers(4, size=n_characters)
    stack = [0]
    while stack:
        node = stack.pop()
        for child in tree.children[node]:
            if child >= 0:
                new = rng.integers(4, size=n_characters)
                states[child] = np.where(rng.random(n_characters) < CHANGE, new, states[node])
                stack.append(int(child))
    masks = np.left_shift(np.uint32(1), states[:n_taxa]).astype(np.uint32)
    weights = np.ones(n_characters)
    return Characters(masks, weights, 4, 0.0, n_characters, n_characters, 0, 0)


def labels(n_taxa: int) -> list[str]:
    """Names of the taxa in the files that phangorn reads."""
    return [f"t{i}" for i in range(n_taxa)]


class Phangorn:
    """A process of R that holds one matrix of characters (weights must be integers)."""

    def __init__(self, characters: Characters, folder: Path):
        folder.mkdir()
        self.folder = folder
        self.constant = characters.constant_steps
        # Weights as copies: phangorn counts equal columns itself.
        copies = np.repeat(characters.masks, characters.weights.astype(int), axis=1)
        sets, code = np.unique(copies, return_inverse=True)
        contrast = (sets[:, None] >> np.arange(characters.n_states, dtype=np.uint32)) & 1
        np.savetxt(folder / "contrast.txt", contrast, "%d")
        np.savetxt(folder / "sets.txt", code.reshape(copies.shape) + 1, "%d")
        self.process = subprocess.Popen(
            ["Rscript", str(SCRIPT), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def ask(self, *words: object) -> list[str]:
        """The words of the answer to one question; see the script."""
        source: IO[str] | None = self.process.stdin
        answers: IO[str] | None = self.process.stdout
        assert source is not None and answers is not None
        print(*words, file=source, flush=True)
        answer = answers.readline().split()
        if not answer:
            raise SystemExit(f"phangorn did not answer {words}: see the message of R above")
        return answer

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


def has_phangorn() -> bool:
    """Whether R with phangorn is installed."""
    if shutil.which("Rscript") is None:
        return False
    asked = ["Rscript", "-e", "quit(status = !requireNamespace('phangorn', quietly = TRUE))"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median with the lowest and the highest."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):,.{digits}f} ({low:,.{digits}f}-{high:,.{digits}f})"


def speed_table(folder: Path, peer: bool, rounds: int, n_trees: int, size: tuple[int, int]) -> str:
    """Scores a second of both programs, timed in turns."""
    characters = simulated(*size, seed=1)
    rng = np.random.default_rng(2)
    trees = [random_topology(size[0], rng) for _ in range(n_trees)]
    parents = np.stack([tree.parent for tree in trees]).astype(np.int16)
    scorer = ParsimonyScorer(characters, 1)
    scores = scorer.scores(parents)
    theirs = Phangorn(characters, folder / "speed") if peer else None
    file = folder / "trees.nwk"
    if theirs is not None:
        names = labels(size[0])
        file.write_text("".join(canonical_newick(tree, names) + "\n" for tree in trees))
        found = np.array(theirs.ask("scores", file), float)
        if not np.array_equal(found, scores):
            raise SystemExit("phangorn's scores are not ours")
    ours_rates: list[float] = []
    their_rates: list[float] = []
    repetitions = max(1, 200_000 // n_trees)
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(repetitions):
            scorer.scores(parents)
        ours_rates.append(n_trees * repetitions / (time.perf_counter() - start))
        if theirs is not None:
            their_repetitions = max(1, 2_000 // n_trees)
            seconds = float(theirs.ask("time", file, their_repetitions)[0])
            their_rates.append(n_trees * their_repetitions / seconds)
    rows = [["phylogfn", spread(ours_rates), ""]]
    if theirs is not None:
        ratios = [ours / other for ours, other in zip(ours_rates, their_rates, strict=True)]
        rows.append([f"phangorn {theirs.ask('version')[0]}", spread(their_rates), ""])
        rows.append(["ours / phangorn's", "", spread(ratios, 1)])
        theirs.close()
    return markdown_table(["program", "scores a second", "ratio"], rows)


@dataclass(frozen=True)
class Found:
    """What one program found in one run."""

    program: str
    seed: int
    seconds: float
    reached: float
    parents: np.ndarray
    scores: np.ndarray
    note: str = ""


def our_search(scorer: ParsimonyScorer, seed: int, seconds: float) -> Found:
    """Our own search, trees within one step of the best."""
    reports: list[SearchProgress] = []
    start = time.perf_counter()
    result = search(scorer, seed, excess=1.0, seconds=seconds, progress=reports.append)
    used = time.perf_counter() - start
    reached = next(r.seconds for r in reports if r.best_score == result.best_score)
    note = f"{result.hits} of {result.runs} runs at the best"
    note += ", capped" if result.capped else ""
    note += ", out of time" if result.out_of_time else ""
    table = result.table
    return Found("phylogfn", seed, used, reached, table.parents, table.scores, note)


def their_search(theirs: Phangorn, scorer: ParsimonyScorer, seed: int, seconds: float) -> Found:
    """Phangorn's ratchet; its trees scored by us."""
    file = theirs.folder / f"found-{seed}.nwk"
    used, best, reached = (float(x) for x in theirs.ask("search", seconds, seed, file))
    trees = read_trees(file, labels(scorer.n_taxa), multifurcations="resolve").trees
    met = ParsimonyTable(scorer.n_taxa)
    parents = np.stack([tree.parent for tree in trees])
    scores = scorer.scores(parents)
    if scores.min() != best + theirs.constant:
        raise SystemExit(f"phangorn's best score {best + theirs.constant} is not ours of its trees")
    met.add(parents, scores)
    return Found(PEER, seed, used, reached, met.parents, met.scores)


def search_rows(name: str, runs: Sequence[Found]) -> list[list[str]]:
    """Rows of one alignment: trees are counted against the best score of all runs."""
    best = min(run.scores.min() for run in runs)
    return [
        [
            name,
            run.program,
            str(run.seed),
            f"{run.scores.min():g}",
            f"{run.reached:.1f}",
            f"{run.seconds:.1f}",
            str(int((run.scores <= best).sum())),
            str(int((run.scores <= best + 1.0).sum())),
            run.note,
        ]
        for run in runs
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("alignments", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each search")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=2, help="of our search; R has one")
    parser.add_argument("--gaps", choices=("missing", "state"), default="state")
    parser.add_argument("--rounds", type=int, default=9, help="of the first table")
    parser.add_argument("--quick", action="store_true", help="one seed, 5 s, three short rounds")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seconds, options.seeds, options.rounds = 5.0, options.seeds[:1], 3
    peer = has_phangorn()
    command = ["python", "-m", "benchmarks.phylogfn.parsimony", *(arguments or sys.argv[1:])]
    print(measured_on([Path(word).name if os.sep in word else word for word in command]))
    if not peer:
        print(f"{ABSENT}.\n")
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = (64, 1000)
        print(
            f"{size[0]} taxa, {size[1]} characters, one thread, {options.rounds} rounds in turns:"
        )
        print("medians (lowest-highest).\n")
        print(speed_table(folder, peer, options.rounds, 20 if options.quick else 200, size))
        for path in options.alignments:
            characters = parsimony_characters(read_alignment(path), options.gaps)
            scorer = ParsimonyScorer(characters, options.threads)
            search(scorer, 0, excess=1.0, seconds=0.0)  # compiles
            runs = [our_search(scorer, seed, options.seconds) for seed in options.seeds]
            if peer:
                theirs = Phangorn(characters, folder / path.name)
                theirs.ask("version")  # it has read the data
                runs += [
                    their_search(theirs, scorer, seed, options.seconds) for seed in options.seeds
                ]
                theirs.close()
            rows += search_rows(path.stem, runs)
    print(f"\nSearch, gaps: {options.gaps}, {options.threads} threads (phangorn: one).\n")
    header = ["data", "program", "seed", "best score", "reached after s", "seconds"]
    header += ["trees at the best", "within one step", "note"]
    print(markdown_table(header, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
