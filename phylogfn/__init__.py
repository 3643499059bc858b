"""Posteriors over phylogenetic trees that state their own accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["__version__"]

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: that takes a tenth of the start of the program."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("phylogfn")
    except PackageNotFoundError:  # used from a source tree that was never installed
        return "0+unknown"
