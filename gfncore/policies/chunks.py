"""Logits, and flows, of many states, a chunk at a time, on several threads.

A chunk's activations stay in the cache, and chunks are independent: each has a graph of its own,
which is differentiated on a thread of the pool as well. Gradients are added in the order of the
chunks, so that the result does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import torch

from gfncore.graph_batch import GraphBatch

if TYPE_CHECKING:
    from gfncore.policies.policy import Policy, PolicyOutput

__all__ = [
    "chunked_logits",
    "chunked_logits_and_densities",
    "chunked_logits_and_flows",
    "chunked_values",
]


def _mapped(
    pool: Executor | None, task: Callable[..., Any], *arguments: Sequence[Any]
) -> Iterable[Any]:
    return (map if pool is None else pool.map)(task, *arguments)


def _logits(output: PolicyOutput) -> torch.Tensor:
    return output.logits


def _logits_and_flows(output: PolicyOutput) -> torch.Tensor:
    if output.log_flow is None:
        raise ValueError("state flows were asked for, but the policy was made without flow=True")
    return torch.cat([output.logits, output.log_flow])


def _logits_and_densities(output: PolicyOutput) -> torch.Tensor:
    assert output.log_density is not None
    return torch.cat([output.logits.double(), output.log_density])


def _values(output: PolicyOutput) -> torch.Tensor:
    assert output.values is not None and output.log_density is not None
    return torch.cat([output.values, output.log_density[:, None]], dim=1)


class _ChunkedOutputs(torch.autograd.Function):
    """The required outputs of all chunks as a single function of the policy's parameters."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        policy: Policy,
        read: Callable[[PolicyOutput], torch.Tensor],
        graphs: Sequence[Callable[[], GraphBatch]],
        *parameters: Any,
    ) -> torch.Tensor:
        def output(graph: Callable[[], GraphBatch]) -> torch.Tensor:
            with torch.enable_grad():
                return read(policy(graph()))

        ctx.pool = getattr(policy, "pool", None)
        chunks = list(_mapped(ctx.pool, output, graphs))
        ctx.chunks, ctx.parameters = chunks, parameters
        return torch.cat([chunk.detach() for chunk in chunks])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        def gradient(chunk: torch.Tensor, above: torch.Tensor) -> Any:
            return torch.autograd.grad(chunk, ctx.parameters, above, allow_unused=True)

        pieces = gradients[0].split([len(chunk) for chunk in ctx.chunks])
        total: list[torch.Tensor | None] = [None] * len(ctx.parameters)
        for one in _mapped(ctx.pool, gradient, ctx.chunks, pieces):
            total = [
                new if old is None else old if new is None else old + new
                for old, new in zip(total, one, strict=True)
            ]
        ctx.chunks = None
        return None, None, None, *total


def _outputs(
    policy: Policy,
    read: Callable[[PolicyOutput], torch.Tensor],
    graphs: Sequence[Callable[[], GraphBatch]],
) -> torch.Tensor:
    if torch.is_grad_enabled():
        parameters = [p for p in policy.parameters() if p.requires_grad]
        if parameters:
            return _ChunkedOutputs.apply(policy, read, graphs, *parameters)  # pyright: ignore

    def output(graph: Callable[[], GraphBatch]) -> torch.Tensor:
        with torch.no_grad():
            return read(policy(graph()))

    begin = getattr(policy, "new_batch", None)
    if begin is not None:
        begin()
    return torch.cat(list(_mapped(getattr(policy, "pool", None), output, graphs)))


def chunked_logits(policy: Policy, graphs: Sequence[Callable[[], GraphBatch]]) -> torch.Tensor:
    """Return the concatenated logits of graph batches; float32 (A,).

    Parameters
    ----------
    policy : Policy
        Its ``pool`` is used; without a pool, only this thread.
    graphs : sequence of callables
        Each creates one graph batch; they are called on the threads.
    """
    return _outputs(policy, _logits, graphs)


def chunked_logits_and_flows(
    policy: Policy, graphs: Sequence[Callable[[], GraphBatch]], sizes: Sequence[tuple[int, int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the concatenated logits and log F of graph batches; float32 (A,) and (B,).

    Parameters
    ----------
    policy : Policy
        Made with ``flow=True``.
    graphs : sequence of callables
        As in `chunked_logits`.
    sizes : sequence of (int, int)
        Actions and states of each batch.
    """
    ends = [size for pair in sizes for size in pair]
    parts = _outputs(policy, _logits_and_flows, graphs).split(ends)
    return torch.cat(parts[::2]), torch.cat(parts[1::2])


def chunked_logits_and_densities(
    policy: Policy, graphs: Sequence[Callable[[], GraphBatch]], sizes: Sequence[tuple[int, int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the concatenated logits and log-densities of graph batches; float64 (A,) and (Q,).

    Parameters
    ----------
    policy : Policy
        Made with ``values``.
    graphs : sequence of callables
        As in `chunked_logits`; they have `GraphBatch.queries`, with values.
    sizes : sequence of (int, int)
        Actions and queries of each batch.
    """
    ends = [size for pair in sizes for size in pair]
    parts = _outputs(policy, _logits_and_densities, graphs).split(ends)
    return torch.cat(parts[::2]), torch.cat(parts[1::2])


def chunked_values(
    policy: Policy, graphs: Sequence[Callable[[], GraphBatch]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw values of the queries, float64 (Q, 2), and return them with log-densities (Q,).

    Without gradient. Arguments as in `chunked_logits_and_densities`; the queries have noise.
    """
    with torch.no_grad():
        out = _outputs(policy, _values, graphs)
    return out[:, :2], out[:, 2]
