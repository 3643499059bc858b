"""The contract between training and an environment of trees."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from gfncore.environment import Environment
from gfncore.policies import HeadSpec

__all__ = ["TreeEnvironment"]


class TreeEnvironment(Environment):
    """Builds unrooted topologies of n taxa.

    Attributes
    ----------
    n_taxa : int
    rates : AttachmentRates or JoinRates
        What the policy starts from; may be replaced between steps of training.
    node_features : int
        Width of what a policy reads of a node.
    relations : int
        Kinds of edges of the graphs.
    rounds : int
        Rounds of message passing that the graphs ask for.
    context : bool
        Whether a node is to be read beside the mean of its graph: where graphs have no edges.
    heads : tuple of HeadSpec
        Of a policy.
    """

    n_taxa: int
    rates: Any
    relations: ClassVar[int]
    rounds: ClassVar[int]
    context: ClassVar[bool] = False
    heads: ClassVar[tuple[HeadSpec, ...]]

    @property
    @abstractmethod
    def node_features(self) -> int:
        """Width of what a policy reads of a node."""

    @abstractmethod
    def trees(self, states: Any) -> np.ndarray:
        """Return parents (B, 2n-2), int16, of finished trees, drawn at taxon 0."""

    @abstractmethod
    def terminals(self, trees: np.ndarray) -> Any:
        """Return finished states of topologies (B, 2n-2), parents drawn at taxon 0."""
