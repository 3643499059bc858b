"""Helper process that ends external programs when their parent process has ended in any way.

A killed process (``kill -9``, a closed terminal, a batch system) cannot end its child processes.
Therefore one small helper process in its own session reads the process groups to end from a pipe.
When the pipe is closed, which the operating system does when the other end dies, it kills the
remaining groups and ends. This works on all systems with pipes and process groups.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading

__all__ = ["guard", "release"]

_CODE = """
import os, signal, sys
groups = set()
for line in iter(sys.stdin.readline, ""):
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""
_ENDING = 2.0  # seconds


class _Guardian:
    """The helper process of this process; another one after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def tell(self, sign: str, group: int) -> None:
        with self._lock:
            if self._process is None or self._owner != os.getpid():
                if sign == "-":
                    return
                self._start()
            process = self._process
            if process is None or process.stdin is None:
                return
            with contextlib.suppress(OSError):  # it was killed: nothing else depends on it
                process.stdin.write(f"{sign}{group}\n".encode())
                process.stdin.flush()

    def _start(self) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _CODE],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",  # no folder is held
                start_new_session=True,
            )
        except OSError:
            self._process = None
        self._owner = os.getpid()
        atexit.register(self._end)

    def _end(self) -> None:
        if self._process is None or self._owner != os.getpid():
            return
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_ENDING)


_GUARDIAN = _Guardian()


def guard(group: int) -> None:
    """Let a process group end with this process."""
    _GUARDIAN.tell("+", group)


def release(group: int) -> None:
    """Forget a process group that has ended."""
    _GUARDIAN.tell("-", group)
