"""Runs tasks over chunks of molecules in workers of any kind, and survives the death of workers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any

from gfncore.program.messages import Note

__all__ = ["ChunkRunner", "OpenExecutor"]

_CHUNK = 64  # molecules of a task; small enough that workers finish together

_STARTING = threading.Lock()  # protects the state that `_clean_start` changes temporarily

OpenExecutor = Callable[[], Executor]
"""Opens an executor; called again where the one before broke."""


class ChunkRunner:
    """Runner of functions on chunks of lists: in this process, its own workers, or an executor.

    The results are the same in each case. If a worker dies, completed chunks keep their results and
    the others are repeated: first unchanged, then one molecule at a time, so that a molecule that
    kills workers is found (`lost` gives its result). If no workers can be started, everything runs
    in this process, with a warning.

    Parameters
    ----------
    workers : int
        Number of processes; 1 means this process. They are started on first use.
    executor : Executor or callable, optional
        Used instead of own workers. A given executor is not closed, and if it is broken (as a
        `ProcessPoolExecutor` after the death of a worker) this process takes over. A callable that
        opens an executor is called on first use and again if the executor is broken; executors that
        it opened are shut down by `close`.
    warn : callable
        Called with one-line warnings.
    chunk : int, optional
        Maximum number of molecules per task. Default: 64.

    Attributes
    ----------
    elsewhere : bool
        Whether an executor, or a callable that opens one, was given.
    retried : int
        Number of times that a molecule was sent to a worker again because the previous one died.
    """

    def __init__(
        self,
        workers: int,
        executor: Executor | OpenExecutor | None,
        warn: Callable[[Note], None],
        chunk: int | None = None,
    ) -> None:
        self._workers = workers
        self._given: Executor | None = None
        self._open: OpenExecutor | None = None
        if isinstance(executor, Executor):
            self._given = executor
        else:
            self._open = executor
        self._pool: Executor | None = None
        self._alone = workers <= 1 and executor is None
        self._warn = warn
        self._chunk = chunk or _CHUNK
        self._opened = False
        self._problem = ""
        self.elsewhere = executor is not None
        self.retried = 0

    def run(
        self,
        task: Callable[..., Sequence[Any]],
        fixed: tuple[Any, ...],
        items: Sequence[Any],
        lost: Callable[[Any], Any],
        chunk: int | None = None,
    ) -> list[Any]:
        """Return the results of ``task(*fixed, chunk)`` as one list in the order of ``items``.

        Parameters
        ----------
        task : callable
            A module-level function that returns one result per item.
        fixed : tuple
            Its first arguments.
        items : sequence
        lost : callable
            Returns the result of an item whose worker died each time.
        chunk : int, optional
            Maximum number of items per task, if less than the general limit.

        Raises
        ------
        Exception
            Any exception of the callable that opens the executor, on its first use.
        """
        if self._alone or not items:
            return list(task(*fixed, list(items))) if items else []
        if self._open is not None and not self._opened:  # a missing cluster is reported now
            self._pool, self._opened = self._open(), True
        most = min(self._chunk, chunk or self._chunk)
        size = max(1, min(most, -(-len(items) // (4 * max(self._workers, 1)))))
        spans = [(at, min(at + size, len(items))) for at in range(0, len(items), size)]
        results: list[Any] = [None] * len(items)
        for attempt in range(2):
            spans = self._round(task, fixed, items, spans, results)
            if not spans:
                return results
            n_lost = sum(end - start for start, end in spans)
            self.retried += n_lost
            if attempt == 0:
                noun = "molecule is" if n_lost == 1 else "molecules are"
                self._warn(
                    Note(
                        "worker-died",
                        f"a scoring worker died ({self._problem}); {n_lost} {noun} scored again",
                    )
                )
        for row in [row for start, end in spans for row in range(start, end)]:
            if not self._round(task, fixed, items, [(row, row + 1)], results):
                continue
            if self._alone or not self._works(task, fixed):
                self._alone = True
                self._warn(
                    Note(
                        "no-workers",
                        f"no scoring workers could be started ({self._problem}); "
                        "scoring continues in the main process",
                    )
                )
                results[row] = task(*fixed, [items[row]])[0]
            else:
                results[row] = lost(items[row])
        return results

    def _round(
        self,
        task: Callable[..., Sequence[Any]],
        fixed: tuple[Any, ...],
        items: Sequence[Any],
        spans: list[tuple[int, int]],
        results: list[Any],
    ) -> list[tuple[int, int]]:
        """Run some spans and return the spans lost with a worker."""
        if self._alone:
            for start, end in spans:
                results[start:end] = task(*fixed, list(items[start:end]))
            return []
        futures: list[Any] = []
        broken = False
        try:
            executor = self._executor()
            with nullcontext() if self.elsewhere else _clean_start():
                for start, end in spans:
                    futures.append(executor.submit(task, *fixed, list(items[start:end])))
        except self._losses as problem:  # chunks that were not submitted are lost as well
            broken = True
            self._problem = _words(problem)
        missing = []
        for place, (start, end) in enumerate(spans):
            found = None
            try:
                if place < len(futures):
                    found = futures[place].result()
            except self._losses as problem:
                broken |= isinstance(problem, BrokenExecutor)
                self._problem = _words(problem)
            if found is None:
                missing.append((start, end))
            else:
                results[start:end] = found
        if broken:
            self.close()
        return missing

    @property
    def _losses(self) -> tuple[type[Exception], ...]:
        """Return the exceptions that mean the loss of a worker.

        Clusters have their own errors for it; an error of the task itself recurs when the task runs
        in this process.
        """
        return (Exception,) if self.elsewhere else (BrokenExecutor, OSError)

    def _works(self, task: Callable[..., Sequence[Any]], fixed: tuple[Any, ...]) -> bool:
        """Return whether a worker can be started and answers."""
        try:
            with nullcontext() if self.elsewhere else _clean_start():
                future = self._executor().submit(task, *fixed, [])
            future.result()
        except self._losses as problem:
            self._problem = _words(problem)
            self.close()
            return False
        return True

    def _executor(self) -> Executor:
        if self._given is not None:
            return self._given
        if self._pool is None and self._open is not None:
            self._pool = self._open()
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers,
                # a forked copy of a process with threads may hang, so workers are spawned
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_begin_worker,
            )
        return self._pool

    def close(self) -> None:
        """End the workers; they start again when they are needed."""
        if self._pool is not None:
            if isinstance(self._pool, ProcessPoolExecutor):
                self._pool.shutdown(wait=True, cancel_futures=True)
            else:  # not every executor knows the second argument
                self._pool.shutdown(wait=True)
            self._pool = None


@contextmanager
def _clean_start() -> Iterator[None]:
    """Let interpreters that start now run nothing of the user's.

    They do not look for modules in the current directory: a file ``queue.py`` there would be
    executed by each worker, before it has the search path of this process. And they do not run the
    script of this process, which `multiprocessing` would import in each worker: one that calls
    ``molgen.sample`` would begin again there.
    """
    with _STARTING:
        before = os.environ.get("PYTHONSAFEPATH")
        os.environ["PYTHONSAFEPATH"] = "1"
        script = vars(sys.modules["__main__"])
        names = {key: script[key] for key in ("__file__", "__spec__") if key in script}
        script.update(dict.fromkeys(names))
        try:
            yield
        finally:
            script.update(names)
            if before is None:
                del os.environ["PYTHONSAFEPATH"]
            else:
                os.environ["PYTHONSAFEPATH"] = before


def _begin_worker() -> None:
    """Leave Ctrl-C to the main process, which ends the workers; end with it if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _words(problem: Exception) -> str:
    """Return a one-line description of a loss."""
    name = type(problem).__name__
    text = " ".join(str(problem).split())
    return name if isinstance(problem, BrokenExecutor) or not text else f"{name}: {text[:150]}"
