"""Libraries of molecules drawn in proportion to a score, with their true probabilities."""

from __future__ import annotations
