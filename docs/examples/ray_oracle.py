"""An expensive score on a Ray cluster: Ray's tasks as an executor of Python's `concurrent.futures`.

In a scoring file in the same directory::

    [scoring]
    executor = "ray_oracle.py:open_executor"

The cluster is that of the environment variable RAY_ADDRESS; without it, this machine. Its workers
need molgen, and the files named in the scoring file under the same paths.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import ray


@ray.remote(max_retries=0)  # molgen repeats and counts the calls of a dead worker
def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


class RayExecutor(Executor):
    """Executor that submits calls as tasks of Ray."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start a task; if its worker dies, the future has an exception."""
        if kwargs:
            raise TypeError("calls have arguments by place alone")
        return _call.remote(function, *args).future()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; one of this machine alone ends."""
        ray.shutdown()


def open_executor() -> RayExecutor:
    """Connect to the cluster; molgen calls this once, when it has molecules to score."""
    ray.init(log_to_driver=False)
    return RayExecutor()
