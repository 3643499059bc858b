"""How experience is made: forward by the policy, backward from given objects."""

from gfncore.exploration.backward import backward_trajectories
from gfncore.exploration.forward import sample_trajectories

__all__ = ["backward_trajectories", "sample_trajectories"]
