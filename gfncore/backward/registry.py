"""The backward policies by name, with their descriptions for the programs.

Settings, help and citations read this table, so this module does not import torch. A backward
policy P_B says by which steps an object is undone, and with that how its reward is divided among
the trajectories that build it. A method is one file in this folder and one entry of
`BACKWARD_POLICIES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from gfncore.backward.base import BackwardTraining
    from gfncore.policies import Policy

__all__ = [
    "BACKWARD_POLICIES",
    "BackwardEntry",
    "BackwardName",
    "check_use",
    "find_backward_policy",
    "make_backward_policy",
]


BackwardName = Literal[
    "uniform", "learned", "maximum_entropy", "trajectory_likelihood", "pessimistic"
]


@dataclass(frozen=True)
class BackwardEntry:
    """Description of a backward policy.

    Attributes
    ----------
    description : str
        What it is in a few words, for the help of a command.
    place : str
        ``module:class`` of a `gfncore.backward.base.BackwardTraining`; empty: nothing is learned.
    citations : tuple of str
        Keys of the references of the method.
    """

    description: str
    place: str = ""
    citations: tuple[str, ...] = ()

    def load(self) -> Any:
        """Return the class."""
        module, name = self.place.split(":")
        return getattr(importlib.import_module(module), name)


BACKWARD_POLICIES: dict[str, BackwardEntry] = {
    "uniform": BackwardEntry("every step back is equally likely"),
    "learned": BackwardEntry(
        "learned by the objective, together with the forward policy",
        "gfncore.backward.by_objective:ByObjective",
        ("trajectory_balance",),
    ),
    "maximum_entropy": BackwardEntry(
        "all trajectories of an object are equally likely",
        "gfncore.backward.maximum_entropy:MaximumEntropy",
        ("maximum_entropy_backward",),
    ),
    "trajectory_likelihood": BackwardEntry(
        "maximum likelihood of the forward policy's trajectories of each step",
        "gfncore.backward.trajectory_likelihood:TrajectoryLikelihood",
        ("trajectory_likelihood",),
    ),
    "pessimistic": BackwardEntry(
        "maximum likelihood of the trajectories drawn so far, which are kept",
        "gfncore.backward.pessimistic:Pessimistic",
        ("pessimistic_backward",),
    ),
}
"""Every backward policy by the name that settings give it."""

_WITHOUT = ("flow_matching", "relative_trajectory_balance", "maximum_likelihood")


def find_backward_policy(name: str) -> BackwardEntry:
    """Return the entry with the given name.

    Raises
    ------
    ValueError
        If there is none; the message lists the known ones.
    """
    if name not in BACKWARD_POLICIES:
        known = ", ".join(BACKWARD_POLICIES)
        raise ValueError(f"backward policy {name!r} is unknown; choose one of {known}")
    return BACKWARD_POLICIES[name]


def check_use(name: str, objective: str) -> None:
    """Refuse to learn a backward policy for an objective that has no use for one.

    Raises
    ------
    ValueError
        The message names the objective.
    """
    if find_backward_policy(name).place and objective in _WITHOUT:
        raise ValueError(
            f"{objective} has no use for a backward policy; take another objective, or the "
            "uniform backward policy"
        )


def make_backward_policy(
    name: str, make_network: Callable[[bool], Policy]
) -> tuple[Policy | None, BackwardTraining | None]:
    """Return a new network of P_B and how it is learned; None and None where P_B is uniform.

    Parameters
    ----------
    name : str
        One of `BACKWARD_POLICIES`.
    make_network : callable
        ``make_network(flow)`` returns an untrained network that reads
        `gfncore.environment.Environment.backward_graph`, with or without a flow head.

    Raises
    ------
    ValueError
        If there is no such backward policy.
    """
    entry = find_backward_policy(name)
    if not entry.place:
        return None, None
    training = entry.load()()
    return make_network(training.needs_flow), training
