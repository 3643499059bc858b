"""The settings of objectives, which programs read without importing torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ObjectiveOptions"]


@dataclass(frozen=True)
class ObjectiveOptions:
    """Settings of all objectives; each uses those that apply to it.

    Attributes
    ----------
    log_z : float
        Initial value of a learned log Z.
    loss_shape : str
        See `gfncore.objectives.shapes`.
    conditional : bool
        Whether trajectories have temperatures, on which a learned log Z depends.
    order_temperature : float
        Temperature of `gfncore.objectives.order_preserving.OrderPreserving`.
    sub_trajectory_lambda : float
        lambda of `gfncore.objectives.sub_trajectory_balance.SubTrajectoryBalance`.
    """

    log_z: float = 0.0
    loss_shape: str = "square"
    conditional: bool = False
    order_temperature: float = 1.0
    sub_trajectory_lambda: float = 0.9
