"""Runs tasks over chunks of molecules in worker processes, and survives the death of workers."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from typing import Any

__all__ = ["ChunkRunner"]

_CHUNK = 64  # molecules of a task; small enough that workers finish together


class ChunkRunner:
    """Applies functions to lists in chunks: in this process, in own workers, or in an executor.

    Results do not depend on which. Where a worker dies, chunks that were done keep their results,
    and the others run again in new workers: first as they were, then one molecule at a time, so
    that a molecule that kills workers is found (`lost` stands for it). Where no workers can be had
    at all, everything runs in this process, after a warning.

    Parameters
    ----------
    workers : int
        Processes; 1 is this process. They are started when they are first needed.
    executor : Executor, optional
        Used in place of own workers, and not closed.
    warn : callable
        Takes one line.
    """

    def __init__(
        self, workers: int, executor: Executor | None, warn: Callable[[str], None]
    ) -> None:
        self._workers = workers
        self._given = executor
        self._pool: ProcessPoolExecutor | None = None
        self._alone = workers <= 1 and executor is None
        self._warn = warn

    def run(
        self,
        task: Callable[..., Sequence[Any]],
        fixed: tuple[Any, ...],
        items: Sequence[Any],
        lost: Callable[[Any], Any],
    ) -> list[Any]:
        """Return ``task(*fixed, chunk)`` of all chunks, in one list in the order of ``items``.

        Parameters
        ----------
        task : callable
            A function of a module; returns one result an item.
        fixed : tuple
            Its first arguments.
        items : sequence
        lost : callable
            Gives the result of an item whose worker died each time.
        """
        if self._alone or not items:
            return list(task(*fixed, list(items))) if items else []
        chunk = max(1, min(_CHUNK, -(-len(items) // (4 * max(self._workers, 1)))))
        spans = [(at, min(at + chunk, len(items))) for at in range(0, len(items), chunk)]
        results: list[Any] = [None] * len(items)
        for attempt in range(2):
            spans = self._round(task, fixed, items, spans, results)
            if not spans:
                return results
            if attempt == 0:
                self._warn("a scoring worker died; its molecules are scored again")
        for row in [row for start, end in spans for row in range(start, end)]:
            if not self._round(task, fixed, items, [(row, row + 1)], results):
                continue
            if self._alone or not self._works(task, fixed):
                self._alone = True
                self._warn("no scoring workers can be had; scoring goes on in the main process")
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
        """Run some spans and return those that were lost with a worker."""
        if self._alone:
            for start, end in spans:
                results[start:end] = task(*fixed, list(items[start:end]))
            return []
        futures: list[Any] = []
        try:
            executor = self._executor()
            for start, end in spans:
                futures.append(executor.submit(task, *fixed, list(items[start:end])))
        except (BrokenExecutor, OSError):
            pass  # what was not submitted is lost as well
        missing = []
        for place, (start, end) in enumerate(spans):
            try:
                found = futures[place].result() if place < len(futures) else None
            except BrokenExecutor:
                found = None
            if found is None:
                missing.append((start, end))
            else:
                results[start:end] = found
        if missing:
            self.close()
        return missing

    def _works(self, task: Callable[..., Sequence[Any]], fixed: tuple[Any, ...]) -> bool:
        """Whether a worker can be started and answers."""
        try:
            self._executor().submit(task, *fixed, []).result()
        except (BrokenExecutor, OSError):
            self.close()
            return False
        return True

    def _executor(self) -> Executor:
        if self._given is not None:
            return self._given
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers,
                # a forked copy of a process with threads may hang, so workers start afresh
                mp_context=multiprocessing.get_context("spawn"),
                # Ctrl-C is for the main process, which ends them
                initializer=signal.signal,
                initargs=(signal.SIGINT, signal.SIG_IGN),
            )
        return self._pool

    def close(self) -> None:
        """End the workers; they start again when they are needed."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
