"""The learned backward policy of the merging environment.

A topology has many histories. With a uniform backward policy P_B the forward policy has to match
a distribution over histories that was chosen before the data were seen; with a learned one both
move, and the forward policy may keep to histories that it finds easy to follow. It is trained in
one of the ways of `gfncore.backward`.
"""

from __future__ import annotations

import torch

from gfncore.policies import Backbone, HeadSpec, Policy
from phylogfn.environments.merging import MergingEnvironment

__all__ = ["make_backward_policy"]

HIDDEN = 64
ROUNDS = 1


def make_backward_policy(
    environment: MergingEnvironment, seed: int, device: str, flow: bool = False
) -> Policy:
    """A fresh backward policy; it starts as the uniform one, with scales of the bias that are zero.

    Parameters
    ----------
    environment : MergingEnvironment
        With the features that it will be trained with: their number is that of the inputs.
    seed : int
    device : str
        Of PyTorch.
    flow : bool
        Whether it has a flow head, for the backward policy of maximum entropy.

    Returns
    -------
    Policy
        Reads ``environment.backward_graph``; for `gfncore.training.trainer.Trainer` and all that
        takes a ``backward_policy``.
    """
    torch.manual_seed(seed)
    types = environment.n_taxa + 1
    backbone = Backbone(environment.node_features, types, 1, HIDDEN, ROUNDS, context=True)
    return Policy(backbone, [HeadSpec("node")], initial_scale=0.0, flow=flow).to(device)
