"""Posteriors over phylogenetic trees that state their own accuracy."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("phylogfn")
except PackageNotFoundError:  # used from a source tree that was never installed
    __version__ = "0+unknown"
