"""Training objectives, by name.

An objective is a module that maps `ScoredTrajectories` to a scalar loss, and says with
`on_policy_allowed` whether it may be used on the policy's own draws, with `needs_reward` whether
it reads rewards, with `needs_objectives` whether it reads `ScoredTrajectories.objectives`, with
`needs_flow` whether it reads `ScoredTrajectories.flow`, and with `log_partition(batch)` which log Z
it implies (None: none).
"""

from gfncore.objectives.forward_looking import ForwardLooking
from gfncore.objectives.log_partition_curve import LogPartitionCurve
from gfncore.objectives.log_variance import LogVariance
from gfncore.objectives.maximum_likelihood import (
    MaximumLikelihood,
    state_divergence,
    value_cross_entropy,
)
from gfncore.objectives.order_preserving import OrderPreserving
from gfncore.objectives.trajectory_balance import TrajectoryBalance

__all__ = [
    "OBJECTIVES",
    "ForwardLooking",
    "LogPartitionCurve",
    "LogVariance",
    "MaximumLikelihood",
    "OrderPreserving",
    "TrajectoryBalance",
    "make_objective",
    "state_divergence",
    "value_cross_entropy",
]

OBJECTIVES = {
    "trajectory_balance": TrajectoryBalance,
    "log_variance": LogVariance,
    "maximum_likelihood": MaximumLikelihood,
    "order_preserving": OrderPreserving,
    "forward_looking": ForwardLooking,
}


def make_objective(
    name: str,
    log_z: float = 0.0,
    loss_shape: str = "square",
    conditional: bool = False,
    order_temperature: float = 1.0,
) -> TrajectoryBalance | LogVariance | MaximumLikelihood | OrderPreserving | ForwardLooking:
    """The objective of that name.

    `log_z` is where a learned log Z starts; `loss_shape` see `gfncore.objectives.shapes`; with
    `conditional`, trajectories have temperatures, and a learned log Z depends on them;
    `order_temperature` is that of `OrderPreserving`.
    Objectives that have no use for them ignore them.

    Raises
    ------
    ValueError
        If there is no such objective; the message names those that exist.
    """
    if name not in OBJECTIVES:
        raise ValueError(f"objective is {name!r}, but must be one of {', '.join(OBJECTIVES)}")
    kind = OBJECTIVES[name]
    if kind is TrajectoryBalance:
        return kind(log_z, loss_shape, conditional)
    if kind is ForwardLooking:
        return kind(log_z, loss_shape)
    if kind is OrderPreserving:
        return kind(temperature=order_temperature)
    return kind(loss_shape) if kind is LogVariance else kind()
