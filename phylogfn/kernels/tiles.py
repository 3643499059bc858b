"""Constants that the pruning kernels share."""

from __future__ import annotations

__all__ = ["FAST", "LONGEST_DECAY", "T", "TINY"]

T = 120  # patterns of a tile: 15 vectors of 8; blocks then do not lie a page apart (4K aliasing)
LONGEST_DECAY = 500.0  # of exp(-x) that a pattern may be divided by
TINY = 1e-300  # stands for a likelihood of zero
FAST = {"reassoc", "contract", "nsz", "arcp"}
