"""The objectives by name, with their descriptions for the programs.

Settings, help, reports and citations read this table, so this module does not import torch: the
class of an objective is imported when an instance is created, see
`gfncore.objectives.base.make_objective`. An objective is one file in this folder and one entry of
`OBJECTIVES`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

__all__ = ["OBJECTIVES", "ObjectiveEntry", "find_objective", "objectives_with", "reward_objectives"]


@dataclass(frozen=True)
class ObjectiveEntry:
    """Description of an objective.

    Attributes
    ----------
    place : str
        ``module:class`` of a `gfncore.objectives.base.Objective`.
    title : str
        The name of the objective in a report.
    description : str
        Its purpose in a few words, for the help of a command.
    citations : tuple of str
        Keys of the references of the method.
    needs : str
        What it needs besides the policy's own draws and their rewards, which every environment
        has; empty: nothing.
    orders : bool
        Whether it learns the order of rewards instead of a target distribution: draws are not
        proportional to a reward, and there is no log Z.
    options : tuple of str
        Fields of `gfncore.objectives.options.ObjectiveOptions` that only such objectives read.
    """

    place: str
    title: str
    description: str
    citations: tuple[str, ...] = ()
    needs: str = ""
    orders: bool = False
    options: tuple[str, ...] = ()

    @property
    def rewards_suffice(self) -> bool:
        """Whether the policy's own draws and their rewards suffice for training."""
        return not self.needs

    def load(self) -> Any:
        """Return the class."""
        module, name = self.place.split(":")
        return getattr(importlib.import_module(module), name)


OBJECTIVES: dict[str, ObjectiveEntry] = {
    "trajectory_balance": ObjectiveEntry(
        "gfncore.objectives.trajectory_balance:TrajectoryBalance",
        title="trajectory balance",
        description="draws in proportion to the reward, by a learned log Z",
        citations=("trajectory_balance",),
    ),
    "log_variance": ObjectiveEntry(
        "gfncore.objectives.log_variance:LogVariance",
        title="log-variance",
        description="the same, by the log Z that fits each batch best",
        citations=("log_variance",),
    ),
    "detailed_balance": ObjectiveEntry(
        "gfncore.objectives.detailed_balance:DetailedBalance",
        title="detailed balance",
        description="the same, step by step, by learned flows of unfinished objects",
        citations=("gflownet",),
    ),
    "sub_trajectory_balance": ObjectiveEntry(
        "gfncore.objectives.sub_trajectory_balance:SubTrajectoryBalance",
        title="sub-trajectory balance",
        description="the same, by all parts of trajectories",
        citations=("sub_trajectory_balance",),
        options=("sub_trajectory_lambda",),
    ),
    "flow_matching": ObjectiveEntry(
        "gfncore.objectives.flow_matching:FlowMatching",
        title="flow matching",
        description="the same, state by state, by flows from all parents",
        citations=("gflownet_molecules",),
        needs="flows of all parents, which is slow",
    ),
    "learned_energy_decomposition": ObjectiveEntry(
        "gfncore.objectives.learned_energy_decomposition:LearnedEnergyDecomposition",
        title="learned energy decomposition",
        description="nearly the same, step by step, by a learned share of the reward in each",
        citations=("learned_energy_decomposition",),
        needs="a network of step energies",
    ),
    "modified_detailed_balance": ObjectiveEntry(
        "gfncore.objectives.modified_detailed_balance:ModifiedDetailedBalance",
        title="modified detailed balance",
        description="the same, step by step, by rewards of unfinished objects",
        citations=("modified_detailed_balance",),
        needs="rewards of unfinished objects",
    ),
    "relative_trajectory_balance": ObjectiveEntry(
        "gfncore.objectives.relative_trajectory_balance:RelativeTrajectoryBalance",
        title="relative trajectory balance",
        description="draws of a prior policy, in proportion to the reward",
        citations=("relative_trajectory_balance",),
        needs="a prior policy",
    ),
    "maximum_likelihood": ObjectiveEntry(
        "gfncore.objectives.maximum_likelihood:MaximumLikelihood",
        title="maximum likelihood",
        description="the likelihood of given objects",
        needs="given objects",
    ),
    "order_preserving": ObjectiveEntry(
        "gfncore.objectives.order_preserving:OrderPreserving",
        title="order-preserving",
        description="the order of rewards alone, or the Pareto front of several",
        citations=("order_preserving",),
        orders=True,
        options=("order_temperature",),
    ),
    "forward_looking": ObjectiveEntry(
        "gfncore.objectives.forward_looking:ForwardLooking",
        title="forward-looking detailed balance",
        description="draws in proportion to the reward, by energies of unfinished objects",
        needs="energies of unfinished objects",
    ),
}
"""Every objective by the name that settings give it."""


def find_objective(name: str) -> ObjectiveEntry:
    """Return the entry with the given name.

    Raises
    ------
    ValueError
        If there is none; the message lists the known ones.
    """
    if name not in OBJECTIVES:
        raise ValueError(f"objective is {name!r}, but must be one of {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]


def reward_objectives(*, orders: bool | None = None) -> tuple[str, ...]:
    """Return the names of the objectives that need only draws and their rewards.

    Parameters
    ----------
    orders : bool, optional
        Restrict to objectives that learn an order (True) or a target distribution (False).
    """
    return tuple(
        name
        for name, entry in OBJECTIVES.items()
        if entry.rewards_suffice and orders in (None, entry.orders)
    )


def objectives_with(option: str) -> tuple[str, ...]:
    """Return the names of the objectives that read an option, see `ObjectiveEntry.options`."""
    return tuple(name for name, entry in OBJECTIVES.items() if option in entry.options)
