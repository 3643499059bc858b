"""Kinds of options that several commands have."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

__all__ = ["Flag"]

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
"""An option without a value, off unless given."""
