"""Files of REINVENT 4, which look like ours and are not: recognised, and the way out is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfncore.errors import UserError
from gfncore.program.configuration import read_toml
from gfncore.text.input import read_bytes

__all__ = ["refuse_reinvent", "refuse_reinvent_file"]

_TOP = {"run_type", "stage", "tb_logdir", "json_out_config", "learning_strategy", "inception"}
_AGGREGATIONS = {"geometric_mean", "arithmetic_mean", "custom_product", "custom_sum"}
_CURE = (
    "write each of its components as [[scoring.component]] with type, params and transform "
    "(molgen rewards lists them; the transforms carry over), and the rest as options of "
    "molgen sample"
)


def refuse_reinvent_file(path: Path) -> None:
    """Refuse a TOML or JSON file of REINVENT 4; accept any other file.

    Raises
    ------
    UserError
        It is such a file, cannot be read, or is not valid TOML.
    """
    data = read_bytes(path, limit=4 << 20)
    if data.lstrip().startswith(b"{"):
        try:
            values = json.loads(data)
        except (ValueError, RecursionError):
            values = read_toml(path)  # says what is wrong
    else:
        values = read_toml(path)
    refuse_reinvent(values, str(path))


def refuse_reinvent(values: Mapping[str, Any], source: str) -> None:
    """Refuse the tables of a REINVENT 4 file.

    Raises
    ------
    UserError
        They are such.
    """
    sign = _sign(values)
    if sign:
        raise UserError(f"{source}: this is a REINVENT 4 file (it has {sign}); {_CURE}")


def _sign(values: Mapping[str, Any]) -> str:
    """Return the sign of a file of REINVENT 4; empty for other files."""
    top = sorted(key for key in values if key in _TOP)
    if "run_type" in top or len(top) > 1:
        return f"'{'run_type' if 'run_type' in top else top[0]}'"
    scoring = values.get("scoring", values)
    if not isinstance(scoring, Mapping):
        return ""
    kind = scoring.get("type")
    if isinstance(kind, str) and kind.lower() in _AGGREGATIONS:
        return f"type = '{kind}' in [scoring]"
    components = scoring.get("component")
    for component in components if isinstance(components, list) else ():
        if isinstance(component, Mapping) and "type" not in component:
            for name, inner in component.items():
                if isinstance(inner, Mapping) and "endpoint" in inner:
                    return f"a component '{name}' with endpoints"
    return ""
