"""log Z as a function of the inverse temperature, for objectives that learn it.

log Z(beta) = log sum_x R(x)^beta is convex in beta, is near log |X| for small beta and near a line
for large. With c = log beta, it is learned as

    log Z(beta) = log Z(1) + a (beta - 1) + sum_k w_k (softplus(c - c_k) - softplus(-c_k))

a network with one hidden layer, whose units are fixed and have these two limits. It is linear in
what is learned, so that the large learning rate of log Z suits it; and it keeps within the two
limits beyond the temperatures that were trained.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["LogPartitionCurve"]

CENTRES = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # c_k: beta from 1/20 to 20


class LogPartitionCurve(nn.Module):
    """log Z(beta) - log Z(1); zero for every beta when made."""

    centres: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.weights = nn.Parameter(torch.zeros(len(CENTRES), dtype=torch.float64))
        centres = torch.tensor(CENTRES, dtype=torch.float64)
        self.register_buffer("centres", centres, persistent=False)

    def forward(self, condition: torch.Tensor) -> torch.Tensor:
        """Differences of log Z in nats; log beta, float64 (n,) -> (n,)."""
        softplus = nn.functional.softplus
        units = softplus(condition[:, None] - self.centres) - softplus(-self.centres)  # (n, K)
        return self.slope * torch.expm1(condition) + units @ self.weights
