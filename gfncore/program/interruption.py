"""Interruption of commands by Ctrl-C, SIGTERM (schedulers) and SIGHUP (a closed terminal)."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from gfncore.program.output import absolute_path

__all__ = ["Terminated", "resumable", "signals_interrupt"]

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came: a command ends as it does on Ctrl-C.

    Attributes
    ----------
    number : int
        The signal.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.number = int(number)


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt the enclosed code in the same way as Ctrl-C.

    Files are thus closed and child processes ended. A signal that is ignored (SIGHUP under
    ``nohup``) remains ignored. Only the main thread may set handlers; in other threads nothing
    changes.
    """
    process = os.getpid()

    def terminate(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            raise Terminated(number)
        signal.signal(number, signal.SIG_DFL)  # a forked worker dies as if it had no handler
        os.kill(os.getpid(), number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def resumable(command: str, output: Path) -> Iterator[None]:
    """Run something that can be resumed; SIGTERM and SIGHUP interrupt it as Ctrl-C does.

    An interruption leaves with a note, the command that resumes the run, if the run has got as far
    as its ``run.toml``.

    Parameters
    ----------
    command : str
        Such as ``phylogfn sample``.
    output : Path
        The output directory.
    """
    place = absolute_path(output)
    with signals_interrupt():
        try:
            yield
        except KeyboardInterrupt as stop:
            from gfncore.program.configuration import RUN_FILE

            if (place / RUN_FILE).is_file():
                stop.add_note(f"{command} -o {shlex.quote(str(output))} --resume")
            raise
