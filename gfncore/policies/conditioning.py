"""Conditioning of a policy on temperature, by the log of the inverse temperature.

The target at inverse temperature beta is R(x)^beta / Z(beta). One network covers all beta, in one
of three ways:

    scaling    logit(a | s, beta) = f(log beta) logit(a | s)
    input      an embedding of log beta is added to the nodes of s at the input of the backbone
    both

Scaling follows Kim et al. 2024 (arXiv:2310.02823): the main effect of beta, on the size of logits,
need then not be learned by the whole network. With scaling alone, the order of the actions is the
same at every beta; if the true order changes with beta it is an approximation, in contrast to
"both".

Both parts initially have no effect: f = 1, and the embedding is zero. f is the exponential of a
network with one hidden layer and a linear term, so that f = beta^k can be learned and extrapolates
beyond the trained temperatures.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["CONDITIONINGS", "ConditionEmbedding", "LogitScale"]

CONDITIONINGS = ("none", "input", "scaling", "both")
HIDDEN = 32


def _network(width: int) -> tuple[nn.Module, nn.Linear]:
    """Return a network with one input, one hidden layer, and `width` outputs that start at zero."""
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
        """Return factors of the logits; float32 (B,) -> (B,)."""
        bend = self.last(self.first(condition.unsqueeze(1))).squeeze(1)
        return torch.exp(self.power * condition + bend)


class ConditionEmbedding(nn.Module):
    """Embedding of log beta of a state, added to each node of its graph; initially zero.

    Parameters
    ----------
    hidden : int
        H, width of the backbone.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first, self.last = _network(hidden)

    def forward(self, condition: torch.Tensor) -> torch.Tensor:
        """Return the embeddings; float32 (B,) -> (B, H)."""
        return self.last(self.first(condition.unsqueeze(1)))
