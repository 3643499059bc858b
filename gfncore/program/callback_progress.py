"""Progress of a run inside of another Python program: messages to ``logging``, figures to a call.

Nothing is printed. Warnings are logged as warnings and phases as information, by the logger with
the name of the program.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gfncore.compiled_code import COMPILING
from gfncore.errors import one_line
from gfncore.program.progress import Progress

__all__ = ["CallbackProgress", "ProgressReport"]

_LONGEST = 10_000  # characters of a message


@dataclass(frozen=True)
class ProgressReport:
    """Current phase of a run and its latest figures.

    Parameters
    ----------
    phase : str
        Such as ``"training"``.
    seconds : float
        Seconds of the budget that have been used.
    done : float, optional
        Completed share of the phase, 0 to 1; None if unknown.
    seconds_left : float, optional
        Maximum remaining time of the phase in seconds; None if unknown.
    log_evidence, se : float, optional
        Log evidence and its standard error, in nats.
    ess : float, optional
        Effective sample size.
    detail : str
        A few words on the current work.
    figures : mapping of str to float or str
        Further figures by name.
    """

    phase: str
    seconds: float
    done: float | None = None
    seconds_left: float | None = None
    log_evidence: float | None = None
    se: float | None = None
    ess: float | None = None
    detail: str = ""
    figures: Mapping[str, float | str] = field(default_factory=dict)


class CallbackProgress(Progress):
    """Progress that logs its messages and passes its figures to a function.

    Parameters
    ----------
    program : str
        Name of the logger.
    tell : callable, optional
        Called with a `ProgressReport` when a phase starts, when it ends, and in between at most
        once per `interval`. An exception in it ends the run.
    budget_seconds : float, optional
        Maximum time of the run.
    interval : float
        Minimum number of seconds between two reports of a phase.
    """

    def __init__(
        self,
        program: str,
        tell: Callable[[ProgressReport], object] | None = None,
        *,
        budget_seconds: float | None = None,
        interval: float = 0.2,
    ) -> None:
        super().__init__(program, budget_seconds=budget_seconds, quiet=True, live=False)
        self._tell = tell
        self._log = logging.getLogger(program)
        self._last_report = -math.inf
        self._least_between = interval

    def phase(self, name: str) -> None:
        """Begin a phase: log it, and report it."""
        super().phase(name)
        self._log.info("%s", one_line(name, _LONGEST))
        self._report()

    def update(self, **figures: Any) -> None:
        """Set figures, as `Progress.update` does; report them if the last report is old enough."""
        super().update(**figures)
        since = time.monotonic() - self._last_report
        if since >= self._least_between or figures.get("done") == 1.0:
            self._report()

    def warn(self, message: str) -> None:
        """Log a warning, once however often it comes, and keep it in ``warnings``."""
        if message not in self.warnings:
            self.warnings.append(message)
            self._log.warning("%s", one_line(message, _LONGEST))

    def note(self, message: str) -> None:
        """Log a message."""
        self._log.info("%s", one_line(message, _LONGEST))

    def compiling(self, begins: bool) -> None:
        """Log once per phase that kernels are being compiled."""
        if begins and not self._compiling_told:
            self._compiling_told = True
            self._log.info("%s", COMPILING)

    def _report(self) -> None:
        self._last_report = time.monotonic()
        if self._tell is None:
            return
        figures = dict(self._figures)
        known = {name: figures.pop(name, None) for name in ("log_evidence", "se", "ess")}
        self._tell(
            ProgressReport(
                self._phase,
                self.elapsed(),
                self._done,
                self.seconds_left(),
                **known,
                detail=str(figures.pop("detail", "")),
                figures=figures,
            )
        )
