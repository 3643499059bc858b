"""An external program as a component: one line of JSON in, one line of JSON out.

The program is started once and keeps running. For each batch it reads one line from stdin and
writes one line to stdout, flushed::

    {"id": 7, "smiles": ["CCO", "c1ccccc1"]}
    {"id": 7, "scores": [0.41, 0.93]}

A score is a number, or ``null`` if the program has none. ``{"id": 7, "error": "why"}`` reports that
the batch failed. Messages belong on stderr. A program that ends, does not answer in time or writes
anything else is stopped and restarted; empty lines are ignored. A program that ends after an answer
is restarted at the next request, without a failure. A failed batch is repeated once, one molecule
at a time, so that only the molecule responsible loses its score. After several consecutive starts
without an answer the program is abandoned and its molecules fail; the run continues.

A program with a long start (for example, to load a model) may report when it is ready, within
``start_limit``: its first line is then ``{"ready": true}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from molgen.scoring.components.guardian import guard, release
from molgen.scoring.parallel.batch import (
    BatchScores,
    Failure,
    ScoringFailed,
    numbers,
    score_batches,
)
from molgen.scoring.registry import LONGEST, MOST_PROCESSES, Kind, Parameter, register

__all__ = ["ExternalScorer", "server_command"]

_TAIL = 5  # lines of stderr that a message repeats
_LONGEST = 1 << 24  # bytes of an answer
_ENDING = 1.0  # seconds for the threads of a program that was killed
_CLOSED = Failure("scoring was ended", of_program=True)


class ExternalScorer:
    """One or several running copies of a program that compute scores.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    size : int
        Number of molecules per request.
    time_limit : float
        Maximum seconds for the answer to a request; the first one includes the start of the
        program.
    restarts : int
        Number of consecutive starts without an answer after which a copy is abandoned.
    processes : int
        Number of copies that run concurrently.
    directory : Path, optional
        Working directory of the program.
    start_limit : float, optional
        Maximum seconds until the line that reports readiness; None if the program writes no such
        line.
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
        self._lost: list[_Program] = []  # given up, in the order of that
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
        """Why the last copy was given up; empty while a copy is used."""
        return self._lost[-1].given_up if len(self._lost) == len(self._copies) else ""

    def score(self, smiles: Sequence[str]) -> BatchScores:
        """Return the raw values; errors of the program are failures of molecules."""
        return score_batches(smiles, self._size, self._ask, self._threads.map)

    def _ask(self, batch: list[str]) -> list[float]:
        copy = self._free.get()
        try:
            return copy.ask(batch)
        finally:
            if copy.given_up and copy not in self._lost:
                self._lost.append(copy)
            # a copy that is given up fails at once, so it would take the batches of the others
            if not copy.given_up or self.given_up:
                self._free.put(copy)

    def close(self) -> None:
        """Stop all copies, including busy ones, whose requests fail."""
        for copy in self._copies:
            copy.interrupt()  # first, as the threads wait for the answers
        self._threads.shutdown(wait=True, cancel_futures=True)
        for copy in self._copies:
            copy.stop()


class _Program:
    """One copy of the program, with the threads that read its output."""

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
        self._writer: threading.Thread | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()  # over which process is the present one
        self._closed = False
        self._request = 0
        self._fruitless = 0
        self._answers = 0  # lines that the present process wrote
        self._ended = False  # whether the last request found the end of the output
        self.starts = 0
        self.given_up = ""

    def ask(self, batch: list[str]) -> list[float]:
        """Return the program's scores of a batch.

        Raises
        ------
        ScoringFailed
        """
        if self._closed:
            raise ScoringFailed(_CLOSED, alone=False)
        if self.given_up:
            failure = Failure("program given up", self.given_up, of_program=True)
            raise ScoringFailed(failure, alone=False)
        try:
            answer = self._answer(batch)
        except ScoringFailed as problem:
            self.stop()
            if self._closed:
                raise ScoringFailed(_CLOSED, alone=False) from None
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

    def _answer(self, batch: list[str]) -> dict[str, Any]:
        """Ask the program, which is started if it does not run.

        One that ended after its last answer, whatever its reasons, is started again and asked
        once more: this batch is not to blame.
        """
        if self._process is None:
            self._start()
        worked = self._answers > 0
        self._ended = False
        try:
            return self._exchange(batch)
        except ScoringFailed as problem:
            if not (worked and self._ended) or self._closed:
                raise
            first = problem
        self._ended = False
        try:
            self._start()
            return self._exchange(batch)
        except ScoringFailed:
            if self._ended:  # on a repeated failure, the earlier message is more informative
                raise first from None
            raise

    def _start(self) -> None:
        with self._lock:
            if self._closed:
                raise ScoringFailed(_CLOSED)
            self.starts += 1
            self._stderr = deque(maxlen=_TAIL)
            self._lines = queue.Queue(maxsize=64)
            self._stopped = threading.Event()
            self._writer = None
            self._answers = 0
            try:
                process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd=self._directory,
                    start_new_session=True,  # its children end with it, and not with Ctrl-C
                )
            except OSError as problem:
                told = f"{self._command[0]}: {problem.strerror}"
                failure = Failure("program cannot be started", told, of_program=True)
                raise ScoringFailed(failure) from None
            self._process = process
        guard(process.pid)
        self._readers = [
            threading.Thread(
                target=_read_answers, args=(process, self._lines, self._stopped), daemon=True
            ),
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
        self._writer = threading.Thread(
            target=_write, args=(self._process, request.encode()), daemon=True
        )
        self._writer.start()
        answer = self._read(self._time_limit, begun)
        if not ("scores" in answer or "error" in answer):
            self._fail("answer has no 'scores'", f"'{json.dumps(answer)[:80]}'")
        if answer.get("id", self._request) != self._request:
            self._fail("answer has another id", f"{answer['id']!r}, not {self._request}")
        return answer

    def _read(self, limit: float, begun: float | None = None) -> dict[str, Any]:
        """Read the next line of the program, which must be a JSON object."""
        deadline = (time.monotonic() if begun is None else begun) + limit
        line: bytes | None = b""
        while line is not None and not line.strip():  # empty lines mean nothing
            left = deadline - time.monotonic()
            try:
                line = self._lines.get(timeout=max(0.0, left))
            except queue.Empty:
                self._fail(f"timed out after {limit:g} s")
            if left < 0.0 and line is not None and not line.strip():
                self._fail(f"timed out after {limit:g} s", "it writes empty lines")
        if line is None:
            self._ended = True
            self._fail(self._ending())
        self._answers += 1
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):  # too deep, or a number of thousands of digits
            answer = None
        if not isinstance(answer, dict):
            shown = line[:80].decode(errors="replace").strip()
            self._fail("answer is not a JSON object", f"'{shown}'")
        return answer

    def _fail(self, reason: str, detail: str = "") -> NoReturn:
        self.stop()
        words = " | ".join(self._stderr)
        told = "; ".join(part for part in (detail, f"stderr: {words}" if words else "") if part)
        raise ScoringFailed(Failure(reason, told, of_program=True))

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

    def interrupt(self) -> None:
        """Let current and later requests fail immediately; called from other threads.

        `stop` must be called once there are no more requests.
        """
        with self._lock:
            self._closed = True
            if self._process is not None:
                _kill(self._process)
            with contextlib.suppress(queue.Full):  # then there is something to read anyway
                # the output does not end while a surviving child process keeps it open
                self._lines.put_nowait(None)

    def stop(self) -> None:
        """Kill the program and its process group; the next request restarts it.

        Processes that it started in another session survive and may keep the pipes open. The pipes
        and their threads are then abandoned.
        """
        with self._lock:
            process, self._process = self._process, None
            if process is None:
                return
            _kill(process)
            process.wait()
            release(process.pid)
        self._stopped.set()
        deadline = time.monotonic() + _ENDING
        answers, messages = self._readers
        while answers.is_alive() and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):  # it may wait for room in the queue
                self._lines.get(timeout=0.02)
        for thread in (messages, self._writer):
            if thread is not None:
                thread.join(timeout=max(0.0, deadline - time.monotonic()))
        # closing waits for a writing thread; readers close pipes that they have read to the end
        if self._writer is None or not self._writer.is_alive():
            assert process.stdin is not None
            with contextlib.suppress(OSError):  # pending output has no reader
                process.stdin.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()


def _read_answers(
    process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None], stopped: threading.Event
) -> None:
    assert process.stdout is not None
    with process.stdout as stream:
        while (line := stream.readline(_LONGEST)) and not stopped.is_set():
            lines.put(line)
    if not stopped.is_set():
        lines.put(None)


def _read_messages(process: subprocess.Popen[bytes], tail: deque[str]) -> None:
    assert process.stderr is not None
    with process.stderr as stream:
        for line in stream:
            if text := line.decode(errors="replace").strip():
                tail.append(text[:200])


def _write(process: subprocess.Popen[bytes] | None, request: bytes) -> None:
    assert process is not None and process.stdin is not None
    try:
        process.stdin.write(request)
        process.stdin.flush()
    except (OSError, ValueError):  # it ended or was stopped, which the reader reports
        with contextlib.suppress(OSError):
            process.stdin.close()


def server_command(module: str, *arguments: str) -> list[str]:
    """Return the command of a program that is a module of this package.

    The current directory is not searched for modules, so that a file ``numpy.py`` there is not
    executed; where this package itself is found is searched last.
    """
    root = str(Path(__file__).resolve().parents[3])
    server = f"from molgen.scoring.components.{module} import main; main()"
    code = f"import sys; sys.path.append({root!r}); {server}"
    return [sys.executable, "-P", "-c", code, *arguments]


def _words(parameters: dict[str, Any]) -> list[str]:
    command = parameters["command"]
    return shlex.split(command) if isinstance(command, str) else list(command)


def _files(parameters: dict[str, Any]) -> dict[str, Path]:
    """Return the words of the command that are files."""
    found = {word: (parameters["directory"] or Path()) / word for word in _words(parameters)}
    # no method of Path: a word may be a long script
    return {word: path for word, path in found.items() if os.path.isfile(path)}


def _build(parameters: dict[str, Any]) -> ExternalScorer:
    words = _words(parameters)
    if not words:
        raise ValueError("'command' is empty")
    directory: Path | None = parameters.get("directory")
    beside = directory / words[0] if directory is not None else None
    if beside is not None and os.path.isfile(beside):
        words[0] = str(beside.resolve())
    elif shutil.which(words[0]) is None:
        raise ValueError(f"the program '{words[0]}' was not found or is not executable")
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
        "a program that reads and writes lines of JSON (docs/scoring.md)",
        _build,
        (
            Parameter("command", "command", "the program with its arguments"),
            Parameter(
                "batch_size", "integer", "maximum number of molecules per request", 32, minimum=1
            ),
            Parameter(
                "time_limit",
                "number",
                "maximum seconds for one answer",
                60.0,
                minimum=0.01,
                maximum=LONGEST,
            ),
            Parameter(
                "restarts",
                "integer",
                "maximum number of consecutive restarts without an answer",
                5,
                minimum=0,
            ),
            Parameter(
                "start_limit",
                "number",
                'maximum seconds until a first line {"ready": true}, if the program writes one',
                None,
                minimum=0.01,
                maximum=LONGEST,
            ),
            Parameter(
                "processes",
                "integer",
                "number of copies that run concurrently",
                1,
                minimum=1,
                maximum=MOST_PROCESSES,
            ),
        ),
        batch=True,
        files=_files,
    )
)
