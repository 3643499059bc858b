"""The text of ``molgen rewards``: all components and transforms, from the registry of scoring."""

from __future__ import annotations

from typing import Any

from molgen.scoring.aggregation import AGGREGATIONS
from molgen.scoring.catalogue import kinds
from molgen.scoring.registry import REQUIRED, Kind, Parameter
from molgen.scoring.scores import PRESET_FILES
from molgen.scoring.transforms import TRANSFORMS

__all__ = ["describe_rewards"]


def describe_rewards() -> str:
    """Return the listing: rewards by one name, components, transforms, ways to combine them."""
    offered = kinds()
    presets = [name for name, kind in offered.items() if kind.preset]
    lines = ["Rewards that need no file (--reward NAME):", ""]
    lines += [f"  {name:<24} {summary}" for name, summary in PRESET_FILES.items()]
    lines += [f"  {name:<24} {offered[name].summary}" for name in presets]
    lines += ["", "Components of a scoring file ([[scoring.component]] type = ...):"]
    for group in dict.fromkeys(kind.group for kind in offered.values()):
        lines += ["", f"  {group}"]
        for kind in offered.values():
            if kind.group == group:
                lines += _component(kind)
    lines += [
        "",
        "  and every name of rdkit.Chem.Descriptors, for instance MolLogP (with a transform)",
    ]
    lines += [
        "",
        "Transforms (transform = { type = ... }), from raw values to scores of 0 to 1:",
        "",
    ]
    for transform in TRANSFORMS.values():
        lines.append(f"  {transform.name:<24} {transform.summary}")
        lines += [f"      {_parameter(parameter)}" for parameter in transform.parameters]
    lines += ["", "Aggregations ([scoring] aggregation = ...):", ""]
    lines += [f"  {name:<24} {summary}" for name, summary in AGGREGATIONS.items()]
    return "\n".join(lines) + "\n"


def _component(kind: Kind) -> list[str]:
    note = "" if kind.unit or kind.transform else " [needs a transform]"
    lines = [f"    {kind.name:<24} {kind.summary}{note}"]
    lines += [f"        {_parameter(parameter)}" for parameter in kind.parameters]
    if kind.transform:
        inner = ", ".join(f"{key} = {_toml(value)}" for key, value in kind.transform.items())
        lines.append(f"        default transform: {{ {inner} }}")
    return lines


def _parameter(parameter: Parameter) -> str:
    if parameter.default is REQUIRED:
        default = "required"
    elif parameter.default is None:
        default = "optional"
    else:
        default = f"default {_toml(parameter.default)}"
    choices = f"; one of {', '.join(parameter.choices)}" if parameter.choices else ""
    return f"{parameter.name}: {parameter.summary}{choices} ({default})"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(_toml(entry) for entry in value)}]"
    return f"{value:g}"
