"""Progress of a run: a live line on a terminal, otherwise a plain line every few seconds.

The maximum remaining time is shown if it is known: the rest of the budget, or less if the caller
reports the completed share of a phase. The time at which a sampler will be accurate enough cannot
be predicted and is not shown.

All output goes to standard error. The display is a context manager; :meth:`Progress.phase`,
:meth:`Progress.update` and :meth:`Progress.warn` can be called at any rate, because calls are cheap
and nothing is printed more often than the interval allows.
"""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import ExitStack
from typing import Any, Self, TextIO

from gfncore.compiled_code import COMPILING, compilation_told
from gfncore.errors import one_line
from gfncore.program.clock import RunClock

__all__ = ["Progress", "format_duration"]

_LEAST_DONE = 0.02  # share of a phase from which its remaining time is shown
_LEAST_SECONDS = 2.0


def format_duration(seconds: float) -> str:
    """Return a duration as people write it: ``8s``, ``2m05s``, ``1h02m``.

    Examples
    --------
    >>> format_duration(125.4)
    '2m05s'
    """
    whole = int(max(seconds, 0.0))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


class Progress:
    """Progress of one run.

    Parameters
    ----------
    program : str
        Name at the beginning of each line.
    budget_seconds : float, optional
        Maximum time of the run; shown together with the elapsed time.
    quiet : bool
        Print warnings only.
    stream : text stream, optional
        Default: standard error.
    interval : float
        Minimum number of seconds between two plain lines.
    live : bool, optional
        Redraw one line in place. Default: whether the stream is a terminal that can.

    Attributes
    ----------
    clock : RunClock
        Starts with the process, or with this object within another program.
    """

    def __init__(
        self,
        program: str,
        *,
        budget_seconds: float | None = None,
        quiet: bool = False,
        stream: TextIO | None = None,
        interval: float = 5.0,
        live: bool | None = None,
    ) -> None:
        self.program = program
        self.budget_seconds = budget_seconds
        self.quiet = quiet
        self.clock = RunClock()
        self.warnings: list[str] = []
        self._stream = sys.stderr if stream is None else stream
        self._interval = interval
        self._last_line = -math.inf
        self._phase = ""
        self._compiling = self._compiling_told = False
        self._phase_start = time.monotonic()
        self._done: float | None = None
        self._done_at_first = 0.0
        self._figures: dict[str, Any] = {}
        is_terminal = bool(getattr(self._stream, "isatty", lambda: False)())
        is_terminal &= os.environ.get("TERM") != "dumb"
        self._wants_live = (is_terminal if live is None else live) and not quiet
        self._inside = ExitStack()
        self._console: Any = None
        self._display: Any = None

    def __enter__(self) -> Self:
        self._inside.enter_context(compilation_told(self.compiling))
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def elapsed(self) -> float:
        """Return the seconds of the budget that are spent, earlier sessions included."""
        return self.clock.seconds()

    def seconds_left(self) -> float | None:
        """Return the maximum remaining time of the phase; None if unknown.

        It is the rest of the budget or, if less, the time for the rest of the phase at its previous
        speed.
        """
        left = None
        if self._done == 1.0:
            return None
        if self.budget_seconds is not None and self.elapsed() < self.budget_seconds:
            left = self.budget_seconds - self.elapsed()
        if self._done is not None:
            took = time.monotonic() - self._phase_start
            share = self._done - self._done_at_first
            if share >= _LEAST_DONE and took >= _LEAST_SECONDS:
                rest = took * (1.0 - self._done) / share
                left = rest if left is None else min(left, rest)
        return left

    def phase(self, name: str) -> None:
        """Begin a phase, such as ``"reading primates.fasta"``; always prints a line."""
        self._phase = name
        self._compiling_told = False
        self._phase_start, self._done = time.monotonic(), None
        self._figures.pop("detail", None)
        if self.quiet:
            return
        self._print(f"{self.program}  {self._clock()}  {name}", style="bold")
        self._last_line = time.monotonic()
        self._refresh()

    def compiling(self, begins: bool) -> None:
        """Show that compilation of kernels has started or ended."""
        self._compiling = begins
        if begins and not self.quiet and not self._compiling_told:
            self._compiling_told = True  # until the next phase: kernels come one after another
            self._print(f"{self.program}  {self._clock()}  {COMPILING}", style="bold")

    def update(
        self,
        *,
        log_evidence: float | None = None,
        se: float | None = None,
        ess: float | None = None,
        detail: str | None = None,
        done: float | None = None,
        **figures: float | str,
    ) -> None:
        """Set the figures shown; figures that are not given keep their values.

        Parameters
        ----------
        log_evidence, se : float
            Log evidence and its standard error, in nats.
        ess : float
            Effective sample size.
        detail : str
            A few words on the current work.
        done : float
            Completed share of the phase, 0 to 1, by the limit that will be reached first.
        **figures
            Further figures by name, in the order of their first occurrence.
        """
        given = {"log_evidence": log_evidence, "se": se, "ess": ess, "detail": detail, **figures}
        self._figures.update({key: value for key, value in given.items() if value is not None})
        if done is not None:
            if self._done is None:  # a resumed phase does not begin with nothing
                self._phase_start, self._done_at_first = time.monotonic(), done
            self._done = min(done, 1.0)
        if self.quiet:
            return
        now = time.monotonic()
        if self._wants_live:
            self._refresh()
        elif now - self._last_line >= self._interval:
            self._print(f"{self.program}  {self._status()}")
            self._last_line = now

    def warn(self, message: str) -> None:
        """Print a warning, once however often it comes, and keep it in ``warnings``."""
        if message in self.warnings:
            return
        self.warnings.append(message)
        self._print(f"{self.program}: warning: {message}", style="yellow")

    def note(self, message: str) -> None:
        """Print a line that stays, unless quiet."""
        if not self.quiet:
            self._print(message)

    def close(self) -> None:
        """End the live display; the last state stays on the screen."""
        self._inside.close()
        self._done = 1.0
        if self._display is not None:
            self._display.stop()
            self._display = None

    def _clock(self) -> str:
        elapsed = format_duration(self.elapsed())
        if self.budget_seconds is None:
            return elapsed
        return f"{elapsed}/{format_duration(self.budget_seconds)}"

    def _status(self) -> str:
        parts = [self._clock()]
        if self._compiling:
            return "  ".join([*parts, COMPILING])
        if self._phase:
            parts.append(self._phase)
        figures = dict(self._figures)
        log_evidence, se = figures.pop("log_evidence", None), figures.pop("se", None)
        if log_evidence is not None:
            error = f" \u00b1 {se:.3f}" if se is not None and math.isfinite(se) else ""
            parts.append(f"log evidence {log_evidence:.3f}{error}")
        ess = figures.pop("ess", None)
        if ess is not None:
            parts.append(f"ESS {ess:,.0f}")
        detail = figures.pop("detail", None)
        for key, value in figures.items():
            shown = f"{value:,.4g}" if isinstance(value, float) else str(value)
            parts.append(f"{key.replace('_', ' ')} {shown}")
        if detail:
            parts.append(str(detail))
        left = self.seconds_left()
        if left is not None:
            parts.append(f"up to {format_duration(left)} left")
        return "  ".join(parts)

    def _print(self, line: str, style: str | None = None) -> None:
        line = one_line(line, longest=10_000)  # names of files may have control characters
        if self._wants_live:
            self._live_console().print(
                line, style=style, markup=False, highlight=False, soft_wrap=True
            )
        else:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            print(line.encode(encoding, "replace").decode(encoding), file=self._stream, flush=True)

    def _live_console(self) -> Any:
        if self._console is None:
            from rich.console import Console

            self._console = Console(file=self._stream, stderr=self._stream is sys.stderr)
        return self._console

    def _refresh(self) -> None:
        if not self._wants_live:
            return
        if self._display is None:
            from rich.live import Live
            from rich.spinner import Spinner

            self._spinner = Spinner("dots", style="cyan")
            self._display = Live(
                get_renderable=self._line,
                console=self._live_console(),
                refresh_per_second=4,
                transient=False,
            )
            self._display.start()

    def _line(self) -> Any:
        """Return the live line, rendered repeatedly so that its clock advances without updates."""
        from rich.text import Text

        self._spinner.update(text=Text(self._status()))
        return self._spinner
