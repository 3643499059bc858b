"""The graph-network policy."""

from gfncore.policies.backbone import Backbone
from gfncore.policies.chunks import (
    chunked_logits,
    chunked_logits_and_densities,
    chunked_logits_and_flows,
    chunked_values,
)
from gfncore.policies.conditioning import CONDITIONINGS, ConditionEmbedding, LogitScale
from gfncore.policies.heads import Head, HeadSpec
from gfncore.policies.policy import (
    Policy,
    PolicyOutput,
    class_log_probabilities,
    segment_log_softmax,
)
from gfncore.policies.values import ValueHead, ValueSpec

__all__ = [
    "CONDITIONINGS",
    "Backbone",
    "ConditionEmbedding",
    "Head",
    "HeadSpec",
    "LogitScale",
    "Policy",
    "PolicyOutput",
    "ValueHead",
    "ValueSpec",
    "chunked_logits",
    "chunked_logits_and_densities",
    "chunked_logits_and_flows",
    "chunked_values",
    "class_log_probabilities",
    "segment_log_softmax",
]
