"""The clock of a run: wall-clock time since the start of the process.

A budget is wall-clock time without the compilation of kernels, which happens once after an
installation (`gfncore.compiled_code`); everything else counts, including imports. A resumed run
continues with the times of its earlier sessions.
"""

from __future__ import annotations

import copy
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gfncore.compiled_code import compile_seconds
from gfncore.program.provenance import ResourceUse

__all__ = ["RunClock", "command_of_process", "process_start"]

_IMPORTED = time.monotonic()
_LONGEST_START = 600.0  # seconds between the start of the process and the import of this module
_command_start: float | None = None


def process_start() -> float:
    """Return the start of this process on the clock `time.monotonic`, or the time of import.

    Linux reports the start in clock ticks since the machine was booted (proc_pid_stat(5)).
    """
    try:
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return _IMPORTED
    start = time.monotonic() - age
    # a container may show the process another time since boot than the file
    return start if _IMPORTED - _LONGEST_START <= start <= _IMPORTED else _IMPORTED


@contextmanager
def command_of_process() -> Iterator[None]:
    """Let clocks created in this context start with the process, which runs only this command."""
    global _command_start
    before, _command_start = _command_start, process_start()
    try:
        yield
    finally:
        _command_start = before


class RunClock:
    """Measures a run, from the start of its process or, inside of another program, from now on."""

    def __init__(self) -> None:
        self._start = time.monotonic() if _command_start is None else _command_start
        self._compiled_before = compile_seconds()
        self._cpu_before = 0.0 if _command_start is not None else _cpu_seconds()
        self._earlier: dict[str, float] = {}

    @classmethod
    def from_now(cls) -> RunClock:
        """Return a clock of a part of a run that begins now, whenever the process started."""
        clock = cls()
        clock._start, clock._cpu_before = time.monotonic(), _cpu_seconds()
        return clock

    def copy(self) -> RunClock:
        """Return a clock that shows the same and can be set apart."""
        return copy.copy(self)

    def seconds(self) -> float:
        """Return the seconds that count towards the budget: wall-clock time without compilation."""
        return self.wall_seconds() - self.compile_seconds()

    def wall_seconds(self) -> float:
        """Return the wall-clock time of all sessions of the run."""
        return self._earlier.get("wall", 0.0) + time.monotonic() - self._start

    def compile_seconds(self) -> float:
        """Return the compilation time of kernels in all sessions of the run."""
        return self._earlier.get("compile", 0.0) + compile_seconds() - self._compiled_before

    def usage(self) -> ResourceUse:
        """Return times and peak memory so far."""
        # ru_maxrss is in bytes on macOS and in kibibytes on Linux (getrusage(2)).
        unit = 1 if sys.platform == "darwin" else 1024
        return ResourceUse(
            self.wall_seconds(),
            self._cpu(),
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
            self.compile_seconds(),
        )

    def spent(self) -> dict[str, float]:
        """Return the times so far, for a checkpoint."""
        return {
            "wall": self.wall_seconds(),
            "cpu": self._cpu(),
            "compile": self.compile_seconds(),
        }

    def resume(self, spent: Mapping[str, float]) -> None:
        """Resume from the times in a checkpoint."""
        self._earlier = dict(spent)

    def _cpu(self) -> float:
        return self._earlier.get("cpu", 0.0) + _cpu_seconds() - self._cpu_before


def _cpu_seconds() -> float:
    """Return user and system time of this process and of its completed child processes."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
