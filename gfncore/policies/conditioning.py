"""A policy for many temperatures: what the log of the inverse temperature changes in the network.

The target at inverse temperature beta is R(x)^beta / Z(beta). One network answers any beta, in one
of three ways:

    scaling    logit(a | s, beta) = f(log beta) logit(a | s)
    input      the nodes of s get an embedding of log beta, at the input of the backbone
    both

Scaling is that of Kim et al. 2024 (arXiv:2310.02823): what beta does to the size of logits, which
is most of what it does, is then not left to the whole network. Scaling alone keeps the order of the
actions at every beta; where that order changes with beta it is an approximation, and "both" is not.

Both parts start as if they were not there: f = 1, and an embedding of zero. f is the exponential of
a network with one hidden layer and a linear term, so that f = beta^k can be learned and goes on
beyond the temperatures that were trained.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["CONDITIONINGS", "ConditionEmbedding", "LogitScale"]

CONDITIONINGS = ("none", "input", "scaling", "both")
HIDDEN = 32


def _network(width: int) -> tuple[nn.Module, nn.Linear]:
    """A hidden layer that reads one number, and a last layer of `width` outputs that is zero."""
    last = nn.Linear(HIDDEN, width)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(1, HIDDEN), nn.SiLU()), last


class LogitScale(nn.Module):
    """f(log beta) > 0; 1 for every beta when made."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = _network(1)
        self.power = nn.Parameter(torch.zeros(()))

    def forward(self, condition: torch.Tensor) -> torch.Tensor:
        """Factors of the logits; float32 (B,) -> (B,)."""
        bend = self.last(self.first(condition.unsqueeze(1))).squeeze(1)
        return torch.exp(self.power * condition + bend)


class ConditionEmbedding(nn.Module):
    """What is added to each node of a graph, by log beta of its state; zero when made.

    Parameters
    ----------
    hidden : int
        H, width of the backbone.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first, self.last = _network(hidden)

    def forward(self, condition: torch.Tensor) -> torch.Tensor:
        """Embeddings; float32 (B,) -> (B, H)."""
        return self.last(self.first(condition.unsqueeze(1)))
