"""The registry of scoring: kinds of components, their parameters and descriptions.

Reading a scoring file, building the components and listing them (``molgen rewards``) all use this
table, so that every available kind is documented. The modules that define kinds call `register`
when they are imported; `molgen.scoring.catalogue.kinds` imports them all.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gfncore.errors import UserError
from gfncore.text.hints import did_you_mean

__all__ = [
    "KINDS",
    "Kind",
    "LONGEST",
    "MOST_PROCESSES",
    "Parameter",
    "REQUIRED",
    "check_parameters",
    "reference_path",
    "register",
    "unknown_key",
]

REQUIRED = object()
MOST_PROCESSES = 1024
"""Maximum number of copies of a program."""
LONGEST = 1e7
"""Maximum time limit, seconds (116 days)."""
KINDS: dict[str, Kind] = {}
"""The registered kinds by name; complete once `molgen.scoring.catalogue.kinds` was called."""
_TYPES = {
    "number": "a number",
    "integer": "a whole number",
    "text": "a text",
    "texts": "a list of texts",
    "numbers": "a list of numbers",
    "switch": "true or false",
    "function": "a text 'module:function'",
    "command": "a text, or a list of texts",
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kind of component or of a transform.

    Attributes
    ----------
    name : str
    type : str
        One of ``number``, ``integer``, ``text``, ``texts``, ``numbers``, ``switch``,
        ``function``, ``command``.
    summary : str
        One line for the listing.
    default : object
        `REQUIRED` where the user must give a value.
    choices : tuple of str
        The values of a text that are offered; empty for any.
    minimum : float or None
        The smallest value of a number.
    maximum : float or None
        The largest value of a number.
    """

    name: str
    type: str
    summary: str
    default: Any = REQUIRED
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of component.

    Attributes
    ----------
    name : str
        Value of ``type`` in a scoring file.
    group : str
        Heading in the listing.
    summary : str
        One-line description of the raw value.
    build : callable
        Takes the checked parameters (a dict). Returns a function of an RDKit molecule to a number
        or, with `batch`, a `molgen.scoring.parallel.batch.BatchScorer`.
    parameters : tuple of Parameter
    batch : bool
        Whether the component takes lists of SMILES in the main process (a user's function or
        program), instead of one RDKit molecule in any worker.
    unit : bool
        Whether raw values are between 0 and 1, so that no transform is needed.
    transform : mapping or None
        The default transform.
    preset : bool
        Whether the name can be used as a reward (``--reward NAME``).
    files : callable or None
        Takes the checked parameters. Returns the files on which the values depend, by their names
        in the scoring file.
    isomer : callable or None
        Takes a canonical SMILES. Returns the SMILES of the stereoisomer that is scored, if one must
        be chosen.
    """

    name: str
    group: str
    summary: str
    build: Callable[[dict[str, Any]], Any]
    parameters: tuple[Parameter, ...] = ()
    batch: bool = False
    unit: bool = True
    transform: Mapping[str, Any] | None = None
    preset: bool = False
    files: Callable[[dict[str, Any]], dict[str, Path]] | None = None
    isomer: Callable[[str], str] | None = None


def register(kind: Kind) -> None:
    """Add one kind to the table."""
    if kind.name in KINDS:
        raise ValueError(f"the kind of component '{kind.name}' is registered twice")
    KINDS[kind.name] = kind


def unknown_key(key: str, known: list[str] | tuple[str, ...], where: str) -> UserError:
    """Return the error for a key that is not known at a place."""
    offered = f" (there are: {', '.join(known)})" if known else " (it takes none)"
    return UserError(f"{where}: unknown key '{key}'{did_you_mean(key, known) or offered}")


def check_parameters(
    values: Mapping[str, Any], parameters: tuple[Parameter, ...], where: str
) -> dict[str, Any]:
    """Return all parameters with their defaults, checked.

    Raises
    ------
    UserError
        A key is unknown or missing, or a value is of the wrong type, not offered or too small.
    """
    names = [parameter.name for parameter in parameters]
    for key in values:
        if key not in names:
            raise unknown_key(key, names, where)
    checked = {}
    for parameter in parameters:
        value = values.get(parameter.name, parameter.default)
        if value is REQUIRED:
            raise UserError(
                f"{where}: '{parameter.name}' is missing ({_TYPES[parameter.type]}: "
                f"{parameter.summary})"
            )
        if parameter.name in values:
            value = _checked(value, parameter, where)
        checked[parameter.name] = value
    return checked


def _checked(value: Any, parameter: Parameter, where: str) -> Any:
    good = {
        "number": _is_number,
        "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
        "text": lambda v: isinstance(v, str),
        "texts": _is_texts,
        "numbers": lambda v: isinstance(v, list) and all(_is_number(x) for x in v),
        "switch": lambda v: isinstance(v, bool),
        "function": lambda v: isinstance(v, str) or callable(v),
        "command": lambda v: isinstance(v, str) or (_is_texts(v) and len(v) > 0),
    }[parameter.type]
    if not good(value):
        raise UserError(
            f"{where}: '{parameter.name}' is {value!r}; it must be {_TYPES[parameter.type]}"
        )
    if parameter.choices and value not in parameter.choices:
        raise UserError(
            f"{where}: '{parameter.name}' is '{value}'; choose one of "
            f"{', '.join(parameter.choices)}"
        )
    if parameter.minimum is not None and value < parameter.minimum:
        raise UserError(
            f"{where}: '{parameter.name}' is {value}; it must be at least {parameter.minimum:g}"
        )
    if parameter.maximum is not None and value > parameter.maximum:
        raise UserError(
            f"{where}: '{parameter.name}' is {value}; it must be at most {parameter.maximum:,.0f}"
        )
    return float(value) if parameter.type == "number" else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def reference_path(name: str, directory: Path | None) -> Path:
    """Return the path of a file named in a scoring file: relative to it, or as given."""
    path = Path(name).expanduser()
    if directory is not None and not path.is_absolute() and os.path.exists(directory / path):
        return directory / path
    return path
