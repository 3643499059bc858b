"""An external program as a component: one line of JSON in, one line of JSON out.

The program is started once and kept. For each batch it reads one line from stdin and writes one
line to stdout, flushed::

    {"id": 7, "smiles": ["CCO", "c1ccccc1"]}
    {"id": 7, "scores": [0.41, 0.93]}

A score is a number, or ``null`` where the program has none. ``{"id": 7, "error": "why"}`` fails the
batch. Messages belong on stderr. A program that ends, does not answer in time or writes anything
else is stopped and started again. A failed batch is tried once more one molecule at a time, so that
the guilty one alone loses its score. After some starts in a row without a single answer the
program is given up, and its molecules are failures; the run goes on.

A program that takes long to start (it loads a model) may say when it is ready, and has
``start_limit`` for that: its first line is then ``{"ready": true}``.
"""

from __future__ import annotations

import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from molgen.scoring.batch import BatchScores, Failure, ScoringFailed, numbers, score_batches
from molgen.scoring.registry import Kind, Parameter, register

__all__ = ["ExternalScorer"]

_TAIL = 5  # lines of stderr that a message repeats
_LONGEST = 1 << 24  # bytes of an answer


class ExternalScorer:
    """Keeps one or several copies of a program and asks them for scores.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    size : int
        Molecules of one request.
    time_limit : float
        Seconds for the answer to one request, the first one with the start of the program.
    restarts : int
        Starts in a row without an answer after which a copy is given up.
    processes : int
        Copies that run at once.
    directory : Path, optional
        Working directory of the program.
    start_limit : float, optional
        Seconds for the line that says that it is ready; None where it writes no such line.
    """

    def __init__(
        self,
        command: Sequence[str],
        size: int = 32,
        time_limit: float = 60.0,
        restarts: int = 5,
        processes: int = 1,
        directory: Path | None = None,
        start_limit: float | None = None,
    ) -> None:
        self._size = size
        self._copies = [
            _Program(command, time_limit, restarts, directory, start_limit)
            for _ in range(processes)
        ]
        self._free: queue.Queue[_Program] = queue.Queue()
        for copy in self._copies:
            self._free.put(copy)
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="scoring program")

    @property
    def starts(self) -> int:
        """How many times a copy was started."""
        return sum(copy.starts for copy in self._copies)

    @property
    def given_up(self) -> str:
        """Why the program is not started again; empty while it is used."""
        return next((copy.given_up for copy in self._copies if copy.given_up), "")

    def score(self, smiles: Sequence[str]) -> BatchScores:
        """Return the raw values; what the program does wrong is a failure of molecules."""
        return score_batches(smiles, self._size, self._ask, self._threads.map)

    def _ask(self, batch: list[str]) -> list[float]:
        copy = self._free.get()
        try:
            return copy.ask(batch)
        finally:
            self._free.put(copy)

    def close(self) -> None:
        """Stop all copies."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for copy in self._copies:
            copy.stop()


class _Program:
    """One copy of the program with the threads that read what it writes."""

    def __init__(
        self,
        command: Sequence[str],
        time_limit: float,
        restarts: int,
        directory: Path | None,
        start_limit: float | None,
    ) -> None:
        self._start_limit = start_limit
        self._command = list(command)
        self._time_limit = time_limit
        self._restarts = restarts
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._stderr: deque[str] = deque(maxlen=_TAIL)
        self._readers: list[threading.Thread] = []
        self._request = 0
        self._fruitless = 0
        self.starts = 0
        self.given_up = ""

    def ask(self, batch: list[str]) -> list[float]:
        """Return the program's scores of a batch.

        Raises
        ------
        ScoringFailed
        """
        if self.given_up:
            raise ScoringFailed(Failure("program given up", self.given_up), alone=False)
        try:
            if self._process is None:
                self._start()
            answer = self._exchange(batch)
        except ScoringFailed as problem:
            self.stop()
            self._fruitless += 1
            if self._fruitless > self._restarts:
                self.given_up = (
                    f"no answer from {self._fruitless} starts in a row; the last: {problem.failure}"
                )
            raise
        self._fruitless = 0
        if "error" in answer:
            raise ScoringFailed(Failure("program reported an error", str(answer["error"])[:500]))
        return numbers(answer["scores"], len(batch))

    def _start(self) -> None:
        self.starts += 1
        self._stderr = deque(maxlen=_TAIL)
        self._lines = queue.Queue(maxsize=64)
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._directory,
                start_new_session=True,  # so that its children end with it, and not with Ctrl-C
            )
        except OSError as problem:
            raise ScoringFailed(
                Failure("program cannot be started", f"{self._command[0]}: {problem.strerror}")
            ) from None
        self._process = process
        self._readers = [
            threading.Thread(target=_read_answers, args=(process, self._lines), daemon=True),
            threading.Thread(target=_read_messages, args=(process, self._stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        if self._start_limit is not None:
            answer = self._read(self._start_limit)
            if answer.get("ready") is not True:
                self._fail('first line is not {"ready": true}', f"'{str(answer)[:80]}'")

    def _exchange(self, batch: list[str]) -> dict[str, Any]:
        """Send one request and read the answer to it."""
        self._request += 1
        begun = time.monotonic()
        request = json.dumps({"id": self._request, "smiles": batch}) + "\n"
        # a program that does not read lets the pipe fill up: the writer must not be this thread
        writer = threading.Thread(
            target=_write, args=(self._process, request.encode()), daemon=True
        )
        writer.start()
        answer = self._read(self._time_limit, begun)
        if not ("scores" in answer or "error" in answer):
            self._fail("answer has no 'scores'", f"'{json.dumps(answer)[:80]}'")
        if answer.get("id", self._request) != self._request:
            self._fail("answer has another id", f"{answer['id']!r}, not {self._request}")
        return answer

    def _read(self, limit: float, begun: float | None = None) -> dict[str, Any]:
        """The next line of the program, which must be a JSON object."""
        left = limit if begun is None else limit - (time.monotonic() - begun)
        try:
            line = self._lines.get(timeout=max(0.0, left))
        except queue.Empty:
            self._fail(f"timed out after {limit:g} s")
        if line is None:
            self._fail(self._ending())
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            shown = line[:80].decode(errors="replace").strip()
            self._fail("answer is no JSON object", f"'{shown}'")
        return answer

    def _fail(self, reason: str, detail: str = "") -> NoReturn:
        self.stop()
        words = " | ".join(self._stderr)
        told = "; ".join(part for part in (detail, f"stderr: {words}" if words else "") if part)
        raise ScoringFailed(Failure(reason, told))

    def _ending(self) -> str:
        process = self._process
        assert process is not None
        try:
            code = process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "program closed its output"
        if code < 0:
            return f"program was killed by signal {-code}"
        return f"program ended with exit code {code}"

    def stop(self) -> None:
        """Kill the program and its children; the next request starts it again."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            process.kill()
        process.wait()
        while self._readers[0].is_alive():  # it may wait for room in the queue
            try:
                self._lines.get(timeout=0.02)
            except queue.Empty:
                continue
        self._readers[1].join(timeout=1.0)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except OSError:  # what was left to write has nowhere to go
                    continue


def _read_answers(process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None]) -> None:
    assert process.stdout is not None
    while line := process.stdout.readline(_LONGEST):
        lines.put(line)
    lines.put(None)


def _read_messages(process: subprocess.Popen[bytes], tail: deque[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text := line.decode(errors="replace").strip():
            tail.append(text[:200])


def _write(process: subprocess.Popen[bytes] | None, request: bytes) -> None:
    assert process is not None and process.stdin is not None
    try:
        process.stdin.write(request)
        process.stdin.flush()
    except (OSError, ValueError):  # it ended, or was stopped: the reader tells
        return


def _build(parameters: dict[str, Any]) -> ExternalScorer:
    command = parameters["command"]
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if not words:
        raise ValueError("'command' is empty")
    directory: Path | None = parameters.get("directory")
    beside = directory / words[0] if directory is not None else None
    if beside is not None and beside.is_file():
        words[0] = str(beside.resolve())
    elif shutil.which(words[0]) is None:
        raise ValueError(f"there is no program '{words[0]}' that can be run")
    return ExternalScorer(
        words,
        parameters["batch_size"],
        parameters["time_limit"],
        parameters["restarts"],
        parameters["processes"],
        directory,
        parameters["start_limit"],
    )


register(
    Kind(
        "external",
        "Your own",
        "a program: one line of JSON in, one line out (docs/scoring.md)",
        _build,
        (
            Parameter("command", "command", "the program with its arguments"),
            Parameter("batch_size", "integer", "most molecules of one request", 32, minimum=1),
            Parameter("time_limit", "number", "seconds for one answer", 60.0, minimum=0.01),
            Parameter(
                "restarts",
                "integer",
                "restarts in a row without an answer, then it is given up",
                5,
                minimum=0,
            ),
            Parameter(
                "start_limit",
                "number",
                'seconds for a first line {"ready": true}, if the program writes one',
                None,
                minimum=0.01,
            ),
            Parameter("processes", "integer", "copies that run at once", 1, minimum=1),
        ),
        batch=True,
    )
)
