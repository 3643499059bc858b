"""A costly score on a Ray cluster: Ray's tasks as an executor of Python's `concurrent.futures`.

In a scoring file, with this file beside it::

    [scoring]
    executor = "ray_oracle.py:open_executor"

The cluster is that of the environment variable RAY_ADDRESS; without it, this machine. Its workers
need molgen installed, and the files that the scoring file names where the main process finds them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import ray


@ray.remote(max_retries=0)  # molgen sends the calls of a worker that died again, and counts them
def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


class RayExecutor(Executor):
    """Submits calls as tasks of Ray."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start a task; what dies with its worker ends with an exception."""
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
