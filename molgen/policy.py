"""The policy network of an environment, in the sizes that this program uses."""

from __future__ import annotations

import torch

from gfncore.policies import Backbone, Policy
from molgen.environments.base import MoleculeEnvironment

__all__ = ["make_policy"]


def make_policy(
    environment: MoleculeEnvironment,
    hidden: int = 64,
    rounds: int = 3,
    seed: int = 0,
    device: torch.device | str = "cpu",
    flow: bool = False,
    conditioning: str = "none",
    backward: bool = False,
) -> Policy:
    """Return a policy for the graphs of an environment, with random weights.

    Parameters
    ----------
    environment : MoleculeEnvironment
        Its `node_features`, `graph_types`, `relations` and `heads` describe the graphs.
    hidden : int
        Width of the embeddings.
    rounds : int
        Rounds of message passing, the reach of an atom in bonds. More distant parts contribute only
        to the mean over the graph.
    seed : int
        Seed of the weights; torch's own generator is not changed.
    device : device
    flow : bool
        Whether the objective reads state flows (a backward policy: numbers of trajectories).
    conditioning : {"none", "input", "scaling", "both"}
        Effect of the temperature of a state, see `gfncore.policies.conditioning`.
    backward : bool
        Whether it is a backward policy, which reads `backward_graph`.

    Returns
    -------
    Policy
        Uniform over the actions before training.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = Backbone(
            environment.node_features,
            environment.graph_types,
            environment.relations,
            hidden,
            rounds,
            context=True,
        )
        heads = environment.backward_heads if backward else environment.heads
        policy = Policy(backbone, heads, flow=flow, conditioning=conditioning)
    return policy.to(device)
