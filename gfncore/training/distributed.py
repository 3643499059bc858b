"""One training on several processes, as ``torchrun`` starts them.

The process of rank 0 leads. It is the one that looks at the clock, evaluates rewards, judges and
writes; before each step it tells the others what to do, and they do nothing else (see
`Trainer.follow`). In a step every process draws its own trajectories with its own generator. Then

* rank 0 evaluates the rewards of what all of them drew, each distinct object once, so that a score
  is computed once and counted in one place;
* what is new goes to the replay of every process, in the order of their ranks: the replays are the
  same, and each process draws its own objects from it;
* the terms of the loss are exchanged, and each process computes the loss of the joined batch, with
  gradients through its own rows; the sum over the processes is the gradient of one process on the
  joined batch, for every objective, those that compare the rows of a batch included;
* all take the same optimiser step, so that parameters, log Z too, stay equal without being sent.

Gradients go over gloo, through the memory of the host, also from a GPU: the networks are small.
Importing this module imports no PyTorch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gfncore.errors import UserError
from gfncore.parent_process import end_with_parent
from gfncore.text.numbers import parse_int

if TYPE_CHECKING:
    import torch

    from gfncore.environment import Environment
    from gfncore.trajectories.batch import ScoredTrajectories

__all__ = ["Processes", "join_processes", "process_rank", "refuse_several"]

_PATIENCE = timedelta(days=30)  # rank 0 may be busy with a slow score
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def process_rank() -> int:
    """Return the rank of this process among those that torchrun started; 0 where it is alone."""
    return _number("RANK") if _several() else 0


def _several() -> bool:
    return all(name in os.environ for name in _VARIABLES) and _number("WORLD_SIZE") > 1


def _number(variable: str) -> int:
    """An integer that torchrun leaves in the environment."""
    place = f"the environment variable {variable}, which torchrun sets"
    return parse_int(os.environ[variable], 0, 10**6, place=place, error=UserError)


def refuse_several(command: str) -> None:
    """Refuse to work as one of several processes.

    Raises
    ------
    UserError
        torchrun started several, which would write over each other's files.
    """
    if _several():
        raise UserError(
            f"{command} runs in one process, but torchrun started {os.environ['WORLD_SIZE']}; "
            "start it without torchrun and use --threads"
        )


def join_processes(seed: Sequence[int]) -> Processes | None:
    """Return this process's place among those that torchrun started; None where it is alone.

    Parameters
    ----------
    seed : sequence of int
        From which each process but the first gets its generators.
    """
    if not _several():
        return None
    import torch

    rank, size = process_rank(), _number("WORLD_SIZE")
    local = _number("LOCAL_RANK") if "LOCAL_RANK" in os.environ else rank
    if torch.cuda.is_available():
        torch.cuda.set_device(local % torch.cuda.device_count())
    end_with_parent()
    torch.distributed.init_process_group("gloo", timeout=_PATIENCE)
    return Processes(rank, size, seed)


class SharedTrainer(Protocol):
    """What the processes need of a trainer; `gfncore.training.trainer.Trainer` has it."""

    on_policy: int
    from_replay: int
    step_number: int
    generator: np.random.Generator

    def state_dict(self, *, shared: bool) -> dict[str, Any]:
        """Return the state of the training, on the CPU; `shared`: that of all processes alone."""
        ...

    def load_state_dict(self, state: dict[str, Any], *, shared: bool) -> None:
        """Take over the state of another trainer that was made in the same way."""
        ...


class Processes:
    """What the processes of one training tell each other; torch.distributed is initialised.

    Parameters
    ----------
    rank, size : int
    seed : sequence of int
        From which each process but the first gets its generators.
    """

    def __init__(self, rank: int, size: int, seed: Sequence[int]) -> None:
        self.rank, self.size, self._seed = rank, size, list(seed)
        self._in_step = False

    @property
    def leads(self) -> bool:
        """Whether this is the process that decides and writes."""
        return self.rank == 0

    def lead(self, trainer: SharedTrainer, factor: float) -> None:
        """Tell the others to do a step; the first time, where the trainer stands as well.

        Parameters
        ----------
        trainer : SharedTrainer
        factor : float
            On the learning rates.
        """
        state = None if self._in_step else trainer.state_dict(shared=True)
        self._in_step = True
        self._from_leader((state, trainer.on_policy, trainer.from_replay, factor))

    def follow(self, trainer: SharedTrainer) -> float | None:
        """Wait for the order to do a step, and prepare it.

        Returns
        -------
        factor : float or None
            On the learning rates; None: training is over.
        """
        order = self._from_leader(None)
        if order is None:
            self._leave()
            return None
        state, trainer.on_policy, trainer.from_replay, factor = order
        if state is not None:
            trainer.load_state_dict(state, shared=True)
        # of the step, so that a run that is resumed draws what it would have drawn
        trainer.generator = np.random.default_rng([*self._seed, self.rank, trainer.step_number])
        return factor

    def finish(self) -> None:
        """Tell the others that training is over; each process then goes its own way."""
        self._from_leader(None)
        self._leave()

    def rewards(self, environment: Environment, states: Any) -> np.ndarray:
        """log R of the states of this process, evaluated by rank 0; float64 (n,), nats."""
        from gfncore.keys import unique_keys

        parts = self.gather(states)
        values = None
        if self.leads:
            joined = type(states).concat(parts)
            first, inverse = unique_keys(environment.keys(joined))
            values = environment.log_reward(joined.take(first))[inverse]
        found = self._from_leader(values)
        start = sum(len(part) for part in parts[: self.rank])
        return found[start : start + len(states)]

    def gather(self, value: Any) -> list[Any]:
        """Return the value of every process, by rank."""
        import torch.distributed as dist

        found: list[Any] = [None] * self.size
        with _lost_processes():
            dist.all_gather_object(found, value)
        return found

    def joined(self, batch: ScoredTrajectories) -> ScoredTrajectories:
        """Return the rows of all processes by rank; those of this process have gradients."""
        parts = self.gather(_without_gradient(batch))
        device = batch.log_pf.device
        parts = [_on_device(part, device) for part in parts]
        parts[self.rank] = batch
        return type(batch).concat(parts)

    def combine_gradients(
        self, own: Sequence[torch.Tensor], shared: Sequence[torch.Tensor]
    ) -> None:
        """Make the gradients of all processes those of the joined batch.

        Parameters
        ----------
        own : sequence of Tensor
            Parameters through which each process sent the gradient of its own rows: summed.
        shared : sequence of Tensor
            Parameters whose gradient every process has in whole, such as log Z: averaged.
        """
        import torch
        import torch.distributed as dist

        parameters = [*own, *shared]
        if not parameters:
            return
        known = torch.tensor([float(p.grad is not None) for p in parameters]).double()
        pieces = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([known, *(piece.detach().cpu().flatten().double() for piece in pieces)])
        with _lost_processes():
            dist.all_reduce(flat)
        known, flat = flat[: len(parameters)], flat[len(parameters) :]
        sums = flat.split([p.numel() for p in parameters])
        for place, (parameter, total) in enumerate(zip(parameters, sums, strict=True)):
            if not known[place]:  # no process has one: the optimiser leaves it alone
                continue
            if place >= len(own):
                total = total / self.size
            parameter.grad = total.view(parameter.shape).to(parameter)

    def _from_leader(self, value: Any) -> Any:
        import torch.distributed as dist

        box = [value]
        with _lost_processes():
            dist.broadcast_object_list(box, src=0)
        return box[0]

    def _leave(self) -> None:
        import torch.distributed as dist

        dist.destroy_process_group()


@contextmanager
def _lost_processes() -> Iterator[None]:
    """One line in place of the traceback of a connection that broke."""
    try:
        yield
    except RuntimeError as problem:
        words = " ".join(str(problem).split())[:200]
        raise UserError(
            f"another process of this training ended ({words}); its messages are above; "
            "--resume continues from the last checkpoint"
        ) from None


def _without_gradient(batch: ScoredTrajectories) -> ScoredTrajectories:
    """The batch as others get it: values alone, on the CPU."""
    return _mapped(batch, lambda tensor: tensor.detach().cpu())


def _on_device(batch: ScoredTrajectories, device: torch.device) -> ScoredTrajectories:
    return _mapped(batch, lambda tensor: tensor.to(device))


def _mapped(batch: Any, function: Any) -> Any:
    """A dataclass of tensors, perhaps nested or absent, with a function applied to each."""
    values = {
        name: function(value) if hasattr(value, "detach") else _mapped(value, function)
        for name, value in vars(batch).items()
        if value is not None
    }
    return replace(batch, **values)
