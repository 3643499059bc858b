"""Compiled kernels: detection of outdated code, and compilation time.

Numba compares a cached function only with its own file, but the compiled code includes functions
and constants from other kernel files: after an edit or a ``git pull`` it could run on arrays of
another layout.

Compilation happens once after an installation and may take a minute. It is reported to the user and
does not count towards the budget of a run (`gfncore.program.clock`).
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = [
    "COMPILING",
    "compilation_told",
    "compile_seconds",
    "discard_stale_code",
]

COMPILING = "compiling kernels (first run only)"
TOLD_AFTER = 1.0  # seconds of compilation


def discard_stale_code(folder: Path, pattern: str = "*_numba") -> None:
    """Remove the compiled functions of kernel files if they are older than any of their sources.

    Compilation is timed from then on (`compile_seconds`).

    Parameters
    ----------
    folder : Path
        Directory of the files; call this function when their package is imported.
    pattern : str
        Pattern of the stems of files that use each other.
    """
    newest = max(path.stat().st_mtime for path in folder.glob(f"{pattern}.py"))
    for index in (folder / "__pycache__").glob(f"{pattern}.*.nbi"):
        try:
            if index.stat().st_mtime < newest:
                index.unlink()
        except OSError:  # another process was faster, or the folder is not ours to change
            continue
    _keep_somewhere(folder)
    _time_compilation()


class _Compilation:
    """Time that Numba has spent compiling in this process; cached functions do not count.

    Numba compiles one function at a time, including the functions that it needs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds = 0.0
        self._depth = 0
        self._since = 0.0
        self._timer: threading.Timer | None = None
        self._shown = False
        self.tell: Callable[[bool], None] | None = None

    @property
    def seconds(self) -> float:
        return self._seconds + (time.monotonic() - self._since if self._depth else 0.0)

    def began(self) -> None:
        """Record that Numba begins to compile a function."""
        with self._lock:
            self._depth += 1
            if self._depth > 1:
                return
            self._since = time.monotonic()
            self._timer = threading.Timer(max(0.0, TOLD_AFTER - self._seconds), self._show)
            self._timer.daemon = True
            self._timer.start()

    def ended(self) -> None:
        """Record that Numba has compiled a function."""
        with self._lock:
            if self._depth == 1:
                self._seconds = self.seconds
                if self._timer is not None:
                    self._timer.cancel()
                if self._shown and self.tell is not None:
                    self.tell(False)
                self._shown = False
            self._depth = max(0, self._depth - 1)

    def _show(self) -> None:
        with self._lock:
            if self._depth and not self._shown and self.tell is not None:
                self._shown = True
                self.tell(True)


_compilation = _Compilation()
_listening = False


def compile_seconds() -> float:
    """Return seconds in which kernels were compiled in this process."""
    return _compilation.seconds


@contextmanager
def compilation_told(tell: Callable[[bool], None]) -> Iterator[None]:
    """Report compilation while the context is active.

    Parameters
    ----------
    tell : callable
        Called from any thread with True when compilation has taken a second in this process and
        continues, and with False when it ends.
    """
    before, _compilation.tell = _compilation.tell, tell
    try:
        yield
    finally:
        _compilation.tell = before


def _keep_somewhere(folder: Path) -> None:
    """Store compiled functions in a temporary directory if no other place is writable.

    Numba would otherwise refuse to define them, if the directory of the source, the user's cache
    and ``NUMBA_CACHE_DIR`` are not writable.
    """
    from numba import config
    from numba.core.caching import FunctionCache

    scope: dict[str, Any] = {}
    exec(compile("def kernel(): pass", str(folder / "__init__.py"), "exec"), scope)
    try:
        FunctionCache(scope["kernel"])
    except RuntimeError:  # no place was found
        kept = tempfile.mkdtemp(prefix="compiled-kernels-")
        atexit.register(shutil.rmtree, kept, ignore_errors=True)
        config.CACHE_DIR = kept  # pyright: ignore[reportAttributeAccessIssue]


def _time_compilation() -> None:
    """Register the listener for Numba's compilation events."""
    global _listening
    if _listening:
        return
    from numba.core import event

    class Listener(event.Listener):
        def on_start(self, event: object) -> None:
            _compilation.began()

        def on_end(self, event: object) -> None:
            _compilation.ended()

    event.register("numba:compile", Listener())
    _listening = True
