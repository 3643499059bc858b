"""How experience is made: forward by the policy, backward from objects, around known objects."""

from gfncore.exploration.backward import backward_trajectories
from gfncore.exploration.forward import sample_trajectories
from gfncore.exploration.local_search import LocalSearch, local_search

__all__ = ["LocalSearch", "backward_trajectories", "local_search", "sample_trajectories"]
