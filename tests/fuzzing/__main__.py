"""A campaign of fuzzing: many cases in several processes, watched for hangs and crashes.

    python -m tests.fuzzing --cases 1000000 --processes 8 --seed 1
    python -m tests.fuzzing --seed 1 --case 123456          # one case again, with its traceback
    python -m tests.fuzzing --seed 1 --case 123456 --input  # its input, to a file or a pager

The exit code is 1 when a case failed. Failures are listed once for each place in the source, with
the number of one case that shows it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection, wait
from pathlib import Path

from tests.fuzzing.cases import TIME_LIMIT, Outcome, case_input, run_case
from tests.fuzzing.readers import READERS

__all__ = ["campaign", "main"]

_MEMORY = 6 * 2**30  # address space of a process, bytes
_BATCH = 50  # cases of one report
_SILENCE = 6 * TIME_LIMIT  # seconds of wall clock without a finished case: the process hangs


def _work(seed: int, start: int, stop: int, step: int, pipe: Connection) -> None:
    """Run cases start, start + step, ... and send numbers and outcomes that are not plain."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries print
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        counts: Counter[tuple[str, str]] = Counter()
        failures: list[tuple[int, Outcome]] = []
        for position, number in enumerate(range(start, stop, step), 1):
            pipe.send(("begin", number))
            outcome = run_case(seed, number, Path(folder))
            counts[outcome.reader, outcome.kind] += 1
            if outcome.kind == "failed":
                failures.append((number, outcome))
            if position % _BATCH == 0 or number + step >= stop:
                pipe.send(("done", counts, failures))
                counts, failures = Counter(), []
    pipe.send(("end", None))


class _Worker:
    """One process, and the case at which it is."""

    def __init__(self, seed: int, start: int, stop: int, step: int) -> None:
        self.pipe, end = multiprocessing.Pipe(duplex=False)
        self.process = multiprocessing.Process(
            target=_work, args=(seed, start, stop, step, end), daemon=True
        )
        self.process.start()
        end.close()
        self.number, self.since = start, time.monotonic()
        self.ended = self.crashed = False


def campaign(
    cases: int, seed: int, processes: int, first: int = 0, progress: bool = False
) -> tuple[Counter[tuple[str, str]], dict[str, tuple[int, Outcome, int]]]:
    """Run cases, in processes that are ended and replaced when they hang or crash.

    Parameters
    ----------
    cases : int
    seed : int
        With the number of a case, decides its input.
    processes : int
    first : int
        Number of the first case.
    progress : bool
        Whether the count of cases goes to standard error.

    Returns
    -------
    counts : Counter
        Cases by reader and kind of outcome.
    failures : dict
        By place in the source: the first case that showed it, its outcome, and how many did.
    """
    multiprocessing.set_start_method("fork", force=True)
    stop = first + cases
    workers = [_Worker(seed, first + i, stop, processes) for i in range(min(processes, cases))]
    counts: Counter[tuple[str, str]] = Counter()
    failures: dict[str, tuple[int, Outcome, int]] = {}

    def fail(number: int, outcome: Outcome) -> None:
        key = f"{outcome.reader.split(',')[0]}: {outcome.place}"
        known = failures.get(key)
        failures[key] = (number, outcome, 1) if known is None else (*known[:2], known[2] + 1)

    told = time.monotonic()
    while workers:
        for ready in wait([worker.pipe for worker in workers], timeout=0.5):
            worker = next(w for w in workers if w.pipe is ready)
            try:
                while worker.pipe.poll():
                    kind, *content = worker.pipe.recv()
                    worker.since = time.monotonic()
                    if kind == "begin":
                        worker.number = content[0]
                    elif kind == "end":
                        worker.ended = True
                    else:
                        counts.update(content[0])
                        for number, outcome in content[1]:
                            fail(number, outcome)
            except EOFError:
                worker.process.join()
                worker.crashed = not worker.ended
        for worker in list(workers):
            hangs = time.monotonic() - worker.since > _SILENCE
            if worker.ended or worker.crashed or hangs:
                workers.remove(worker)
                if worker.ended:
                    continue
                worker.process.kill()
                worker.process.join()
                what = (
                    f"ended with exit code {worker.process.exitcode}" if worker.crashed else "hangs"
                )
                name = READERS[worker.number % len(READERS)].name
                fail(worker.number, Outcome(name, "failed", f"the process {what}", what))
                following = worker.number + processes
                if following < stop:
                    workers.append(_Worker(seed, following, stop, processes))
        if progress and time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"{counts.total():,} cases, {len(failures)} failures", file=sys.stderr)
    return counts, failures


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; see the head of this file."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzzing", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--cases", type=int, default=20_000, help="number of cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--case", type=int, help="run this case alone")
    parser.add_argument("--input", action="store_true", help="with --case: print its input")
    options = parser.parse_args(arguments)
    if options.case is not None:
        reader, data = case_input(options.seed, options.case)
        if options.input:
            sys.stdout.buffer.write(data)
            return 0
        print(f"reader: {reader.name}, {len(data)} bytes")
        path = Path(tempfile.mkdtemp()) / (reader.file or "text")
        path.write_bytes(data)
        reader.read(path)
        print("read")
        return 0
    counts, failures = campaign(
        options.cases, options.seed, options.processes, options.first, progress=True
    )
    for reader in READERS:
        kinds = {kind: counts[reader.name, kind] for kind in ("read", "refused", "failed")}
        print(f"{reader.name:<34}" + "".join(f"{v:>9,} {k}" for k, v in kinds.items()))
    for number, outcome, count in sorted(failures.values(), key=lambda f: -f[2]):
        print(f"{count:>7,} x case {number} ({outcome.reader}): {outcome.detail}")
    print(f"{counts.total():,} cases of seed {options.seed}, {len(failures)} kinds of failure")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
