"""Every kind of component that scoring offers, by name."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping

from gfncore.errors import UserError
from gfncore.text.hints import did_you_mean
from molgen.scoring.components.descriptors import descriptor_kind, descriptor_names
from molgen.scoring.registry import KINDS, Kind

__all__ = ["find_kind", "kinds"]

_MODULES = ("descriptors", "patterns", "guacamol", "functions", "external", "docking")


@functools.cache
def _load() -> None:
    for module in _MODULES:
        importlib.import_module(f"molgen.scoring.components.{module}")


def kinds() -> Mapping[str, Kind]:
    """Return every kind of component by name, in the order of the listing."""
    _load()
    return KINDS


def find_kind(name: str, where: str) -> Kind:
    """Return the kind called ``name``; any name of ``rdkit.Chem.Descriptors`` is one too.

    Parameters
    ----------
    name : str
    where : str
        File and place, the beginning of the message.

    Raises
    ------
    UserError
        There is none; the message names the nearest.
    """
    if name in kinds():
        return kinds()[name]
    found = descriptor_kind(name)
    if found is not None:
        return found
    known = [*kinds(), *descriptor_names()]
    raise UserError(
        f"{where}: there is no component of type '{name}'"
        f"{did_you_mean(name, known) or '; `molgen rewards` lists them'}"
    )
