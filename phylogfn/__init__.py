"""Posteriors over phylogenetic trees that state their own accuracy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["Phylogeny", "Posterior", "ProgressReport", "UserError", "__version__", "sample"]

if TYPE_CHECKING:
    from gfncore.errors import UserError
    from gfncore.program.callback_progress import ProgressReport
    from phylogfn.api import sample
    from phylogfn.results.phylogeny import Phylogeny
    from phylogfn.results.posterior import Posterior

    __version__: str

_MODULES = {
    "Phylogeny": "phylogfn.results.phylogeny",
    "Posterior": "phylogfn.results.posterior",
    "ProgressReport": "gfncore.program.callback_progress",
    "UserError": "gfncore.errors",
    "sample": "phylogfn.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first access, so that the programs start without its dependencies."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("phylogfn")
    except PackageNotFoundError:  # used from a source tree that was never installed
        return "0+unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
