"""Scoring files: from the ``[scoring]`` tables of a TOML file to checked components.

A file following the conventions of REINVENT 4::

    [scoring]
    aggregation = "geometric"

    [[scoring.component]]
    type = "qed"

    [[scoring.component]]
    type = "weight"
    weight = 0.5
    transform = { type = "sigmoid", low = 200, high = 300 }

    [[scoring.filter]]
    type = "alert_catalog"
    params = { catalogs = ["PAINS"] }

``executor = "module:function"`` in ``[scoring]`` names a function that returns an executor of
`concurrent.futures`, which then computes all components; ``chunk_size`` is the maximum number of
molecules per call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gfncore.errors import UserError
from gfncore.program.configuration import read_toml
from gfncore.program.provenance import file_sha256
from gfncore.text.hints import did_you_mean
from molgen.scoring.aggregation import AGGREGATIONS
from molgen.scoring.catalogue import find_kind
from molgen.scoring.parallel.executors import executor_opener
from molgen.scoring.parallel.pool import OpenExecutor
from molgen.scoring.registry import Kind, check_parameters, unknown_key
from molgen.scoring.reinvent import refuse_reinvent, refuse_reinvent_file
from molgen.scoring.transforms import Transform, make_transform

__all__ = ["Component", "ScoringPlan", "make_plan", "read_scoring_file"]

_SCORING_KEYS = ("aggregation", "component", "filter", "executor", "chunk_size")
_COMPONENT_KEYS = ("type", "name", "weight", "params", "transform", "filter")


@dataclass(frozen=True)
class Component:
    """One checked component.

    Attributes
    ----------
    name : str
        Unique; the name of its column.
    kind : Kind
    parameters : dict
        With defaults.
    weight : float
    transform : Transform or None
    filter : bool
        Whether it is a filter that molecules must pass, instead of a part of the score.
    scorer : object
        The function or object built by the kind.
    files : dict of str to str
        SHA-256 of the files on which its raw values depend, by their names in the scoring file.
    """

    name: str
    kind: Kind
    parameters: dict[str, Any]
    weight: float
    transform: Transform | None
    filter: bool
    scorer: Any
    files: dict[str, str]

    def described(self) -> dict[str, Any]:
        """Return the determinants of its raw values, except `files`, as JSON."""
        parameters = {
            key: f"{value.__module__}:{value.__qualname__}" if callable(value) else value
            for key, value in self.parameters.items()
            if key != "directory"
        }
        transform = self.transform and {"type": self.transform.type, **self.transform.parameters}
        return {
            "type": self.kind.name,
            "params": parameters,
            "transform": transform,
            "filter": self.filter,
        }


@dataclass(frozen=True)
class ScoringPlan:
    """All components of a scoring, their aggregation, and where they are computed.

    Attributes
    ----------
    components : tuple of Component
    aggregation : str
    open_executor : callable or None
        Opens the executor that computes the components.
    chunk_size : int or None
        Maximum number of molecules per call.
    """

    components: tuple[Component, ...]
    aggregation: str
    open_executor: OpenExecutor | None = None
    chunk_size: int | None = None


def read_scoring_file(path: Path) -> Mapping[str, Any]:
    """Return the ``[scoring]`` table of a TOML file.

    Other top-level tables and keys are ignored; they are checked by other readers of the file.

    Raises
    ------
    UserError
        The file cannot be read, is not valid TOML, or has no ``[scoring]``.
    """
    refuse_reinvent_file(path)
    return _scoring_table(read_toml(path), str(path))


def _scoring_table(values: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    if "scoring" not in values:
        near = [key for key in values if did_you_mean(key, ("scoring",))]
        hint = f"; '{near[0]}' must be 'scoring'" if near else ""
        raise UserError(f"{source}: has no [[scoring.component]]{hint}")
    return _checked_table(values["scoring"], source)


def _checked_table(value: Any, source: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UserError(f"{source}: 'scoring' is not a table; write [scoring]")
    return value


def make_plan(
    config: Mapping[str, Any], source: str = "scoring", directory: Path | None = None
) -> ScoringPlan:
    """Return the checked components of a scoring.

    Parameters
    ----------
    config : mapping
        The ``[scoring]`` table, or a mapping with this table as ``scoring``.
    source : str
        The file, for messages.
    directory : Path, optional
        Searched first for files and modules that it names.

    Raises
    ------
    UserError
        A key, type, parameter, weight or transform is invalid; the message gives file and place,
        and the most similar known name.
    """
    config = _checked_table(config, source)
    refuse_reinvent(config, source)
    if "scoring" in config:
        config = _scoring_table(config, source)
    for key in config:
        if key not in _SCORING_KEYS:
            raise unknown_key(key, _SCORING_KEYS, f"{source}: [scoring]")
    aggregation = config.get("aggregation", "geometric")
    if not isinstance(aggregation, str) or aggregation not in AGGREGATIONS:
        raise UserError(
            f"{source}: [scoring]: aggregation is {aggregation!r}"
            f"{did_you_mean(str(aggregation), list(AGGREGATIONS))} "
            f"(there are: {', '.join(AGGREGATIONS)})"
        )
    components: list[Component] = []
    for key in ("component", "filter"):
        tables = config.get(key, [])
        if not isinstance(tables, list) or not all(isinstance(t, Mapping) for t in tables):
            raise UserError(f"{source}: '{key}' is not a list of tables; write [[scoring.{key}]]")
        for place, table in enumerate(tables, start=1):
            where = f"{source}: [[scoring.{key}]] {place}"
            component = _component(table, where, key == "filter", directory, components)
            components.append(component)
    if all(component.filter for component in components):
        raise UserError(f"{source}: [scoring] has no component that gives a score")
    where = f"{source}: [scoring]"
    opener = None
    if "executor" in config:
        opener = executor_opener(config["executor"], directory, where)
    return ScoringPlan(tuple(components), aggregation, opener, _chunk_size(config, where))


def _chunk_size(config: Mapping[str, Any], where: str) -> int | None:
    if "chunk_size" not in config:
        return None
    size = config["chunk_size"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise UserError(f"{where}: chunk_size is {size!r}; it must be an integer of at least 1")
    return size


def _component(
    table: Mapping[str, Any],
    where: str,
    is_filter: bool,
    directory: Path | None,
    earlier: Sequence[Component],
) -> Component:
    for key in table:
        if key not in _COMPONENT_KEYS:
            raise unknown_key(key, _COMPONENT_KEYS, where)
    if not isinstance(table.get("type"), str):
        raise UserError(f"{where}: 'type' is missing; `molgen rewards` lists the types")
    kind = find_kind(table["type"], where)
    where = f"{where} ('{kind.name}')"
    given = table.get("params", {})
    if not isinstance(given, Mapping):
        raise UserError(f"{where}: 'params' is {given!r}; write params = {{ name = value }}")
    parameters = check_parameters(given, kind.parameters, where)
    if not isinstance(table.get("filter", False), bool):
        raise UserError(f"{where}: 'filter' is {table['filter']!r}; it must be true or false")
    is_filter = is_filter or table.get("filter", False)
    if kind.batch:
        parameters["directory"] = directory
    try:
        scorer = kind.build(parameters)
    except ValueError as problem:
        raise UserError(f"{where}: {problem}") from None
    files = kind.files(parameters) if kind.files else {}
    return Component(
        _name(table, kind, where, [component.name for component in earlier]),
        kind,
        parameters,
        _weight(table, is_filter, where),
        _transform(table, kind, where),
        is_filter,
        scorer,
        {name: _hash(path) for name, path in files.items()},
    )


def _hash(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError:  # a program may be one that can be run, but not read
        return "not readable"


def _name(table: Mapping[str, Any], kind: Kind, where: str, taken: list[str]) -> str:
    name = table.get("name")
    if name is None:
        names = [kind.name, *(f"{kind.name}_{n}" for n in range(2, len(taken) + 2))]
        return next(entry for entry in names if entry not in taken)
    if not isinstance(name, str) or not name or any(c in name for c in ",\n\t\r"):
        raise UserError(f"{where}: 'name' is {name!r}; it must be a string without commas")
    if name in taken:
        raise UserError(f"{where}: there is already a component '{name}'; give another name")
    return name


def _weight(table: Mapping[str, Any], is_filter: bool, where: str) -> float:
    if is_filter and "weight" in table:
        raise UserError(f"{where}: a filter has no weight; remove it")
    weight = table.get("weight", 1.0)
    good = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not good or not math.isfinite(weight) or weight <= 0:
        raise UserError(f"{where}: 'weight' is {weight!r}; it must be a number above 0")
    return float(weight)


def _transform(table: Mapping[str, Any], kind: Kind, where: str) -> Transform | None:
    config = table.get("transform", kind.transform)
    if config is None:
        if not kind.unit:
            raise UserError(
                f"{where}: raw values do not lie between 0 and 1, so it needs a transform, for "
                'instance transform = { type = "sigmoid", low = …, high = … }'
            )
        return None
    if not isinstance(config, Mapping):
        raise UserError(f"{where}: 'transform' is {config!r}; write transform = {{ type = … }}")
    return make_transform(config, where)
