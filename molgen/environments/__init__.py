"""How molecules are built, step by step."""

from __future__ import annotations
