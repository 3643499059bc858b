"""What ends a run from outside: Ctrl-C, and SIGTERM as schedulers send it."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from gfncore.output import absolute_path

__all__ = ["Terminated", "resumable"]


class Terminated(KeyboardInterrupt):
    """SIGTERM came: a run ends as it does on Ctrl-C."""


@contextmanager
def resumable(command: str, output: Path) -> Iterator[None]:
    """Run something that can be gone on with; SIGTERM interrupts it as Ctrl-C does.

    An interruption leaves with a note, the command that goes on with the run, if the run has got
    as far as its ``run.toml``.

    Parameters
    ----------
    command : str
        Such as ``phylogfn sample``.
    output : Path
        The output directory.
    """
    process, place = os.getpid(), absolute_path(output)

    def terminate(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            raise Terminated
        signal.signal(number, signal.SIG_DFL)  # a forked worker dies as if it had no handler
        os.kill(os.getpid(), number)

    alone = threading.current_thread() is threading.main_thread()  # others may set no handler
    before = signal.signal(signal.SIGTERM, terminate) if alone else None
    try:
        yield
    except KeyboardInterrupt as stop:
        from gfncore.configuration import RUN_FILE

        if (place / RUN_FILE).is_file():
            stop.add_note(f"{command} -o {shlex.quote(str(output))} --resume")
        raise
    finally:
        if alone:
            signal.signal(signal.SIGTERM, before)
