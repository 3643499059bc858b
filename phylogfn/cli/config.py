"""Settings from the command line over a configuration file over defaults.

The file is TOML with one key a setting, named as on the command line (``branch_prior`` or
``branch-prior``). A key that is not known is an error that names its neighbour.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gfncore.errors import UserError
from phylogfn.settings import CONTINUABLE, NOT_CONFIGURED, SampleSettings

__all__ = ["RUN_FILE", "read_config", "resolve_settings", "settings_toml"]

RUN_FILE = "run.toml"


def resolve_settings(given: Mapping[str, Any], config: Path | None = None) -> SampleSettings:
    """Return the settings of a run.

    Parameters
    ----------
    given : mapping of str to object
        What the command line says; None where it says nothing.
    config : Path, optional
        The configuration file. When a run is resumed, its own ``run.toml`` is read too, and only
        the settings of :data:`phylogfn.settings.CONTINUABLE` may differ from it.

    Raises
    ------
    UserError
        A value or a key is wrong; the message says where it came from.
    """
    said = {key: value for key, value in given.items() if value is not None}
    filed = read_config(config) if config is not None else {}
    origin = dict.fromkeys(filed, str(config))
    values = {**filed, **said}
    origin.update((key, _option(key)) for key in said)
    if values.get("resume"):
        earlier_path = Path(values["output"]) / RUN_FILE
        if earlier_path.is_file():
            earlier = read_config(earlier_path)
            _check_unchanged(values, earlier, earlier_path)
            values = {**earlier, **values}
            origin = {**dict.fromkeys(earlier, str(earlier_path)), **origin}
    if "alignment" not in values:
        raise UserError("the alignment is missing; give its path (or - for standard input)")
    try:
        return SampleSettings(**values)
    except ValidationError as error:
        raise UserError(_one_line(error, origin)) from None


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings that a configuration file holds.

    Raises
    ------
    UserError
        It cannot be read, is no TOML, or has a key that is not known.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UserError(f"{path}: cannot be read ({problem.strerror})") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not a text file; give --config a TOML file") from None
    except tomllib.TOMLDecodeError as problem:
        raise UserError(f"{path}: is not valid TOML: {problem}") from None
    known = [name for name in SampleSettings.model_fields if name not in NOT_CONFIGURED]
    settings = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            raise UserError(f"{path}: unknown key '{key}'{_neighbour(name, known)}")
        settings[name] = value
    return settings


def settings_toml(settings: SampleSettings) -> str:
    """Return the resolved settings as the text of ``run.toml``."""
    lines = ["# Settings of this run. To repeat it: phylogfn sample --config run.toml -o OUT"]
    for key, value in settings.configured().items():
        # JSON's strings, whole numbers and truth values are TOML's as well.
        lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def _check_unchanged(values: dict[str, Any], earlier: dict[str, Any], path: Path) -> None:
    defaults = {name: field.default for name, field in SampleSettings.model_fields.items()}
    for key, value in values.items():
        before = earlier.get(key, defaults.get(key))
        if key not in CONTINUABLE and value != before:
            raise UserError(
                f"{_option(key)} {value} differs from the run to resume ({path}: {before!r}); "
                "leave it out, or start a new run in another directory"
            )


def _one_line(error: ValidationError, origin: Mapping[str, str]) -> str:
    problem = error.errors()[0]
    key = str(problem["loc"][0]) if problem["loc"] else "settings"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "literal_error":
        message = f"{problem['input']!r} is not offered; {message.removeprefix('Input should be ')}"
        message = message.replace("; ", "; choose ")
    elif problem["type"] != "value_error":
        message = f"{problem['input']!r} will not do: {message[0].lower()}{message[1:]}"
    where = origin.get(key, "")
    label = _option(key)
    place = f"{label}" if where in ("", label) else f"{where}: {key}"
    return f"{place}: {message}"


def _option(key: str) -> str:
    return "ALIGNMENT" if key == "alignment" else f"--{key.replace('_', '-')}"


def _neighbour(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f" (there are: {', '.join(known)})"
