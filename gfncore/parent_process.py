"""The life of a process that another program started."""

from __future__ import annotations

import os
import signal
import threading
import time

__all__ = ["end_with_parent"]

_POLL = 0.5  # seconds between looks at the parent
_PATIENCE = 20.0  # seconds for an orderly end once the parent is gone


def end_with_parent() -> None:
    """Watch the parent from a thread; end this process, orderly at first, when it has died.

    For processes that another program started and may leave behind, such as torchrun.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_PATIENCE)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
