"""The models of the parts of an alignment as one: theta of all parts, and their relative rates.

Each part has a model of its own (`ModelSpec`). A parameter that several parts have may be *linked*:
it is then one parameter for all of them. The parts evolve at relative rates m_k, whose mean over
all N sites is 1. Free are the shares x_k = m_k n_k / N of the n_k sites of each part, with a
Dirichlet prior (``prset ratepr=variable`` of MrBayes; Ronquist et al. 2012, Syst Biol 61:539-542).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gfncore.errors import UserError
from gfncore.text.hints import did_you_mean
from gfncore.text.numbers import shortened
from phylogfn.models.parameters import Parameter, Prior, parse_prior
from phylogfn.models.spec import ModelSpec
from phylogfn.models.substitution import PartitionedModel

__all__ = ["LINKABLE", "PartSpec", "PartitionedSpec", "partitioned_spec", "shareable"]

RATES = "rates"
LINKABLE = (
    "kappa", "exchangeabilities", "frequencies", "gamma_shape", "free_rates", "invariant", RATES,
)  # fmt: skip
_RATES_BOUNDS = (-9.0, 9.0)


@dataclass(frozen=True)
class PartSpec:
    """A part of an alignment, and its model.

    Attributes
    ----------
    name : str
    spec : ModelSpec
    n_sites : int
    parameters : tuple of int
        Which of the parameters of all parts each parameter of `spec` is.
    """

    name: str
    spec: ModelSpec
    n_sites: int
    parameters: tuple[int, ...] = ()


@dataclass(frozen=True)
class PartitionedSpec(ModelSpec):
    """The models of several parts, with the interface of one.

    Attributes
    ----------
    parts : tuple of PartSpec
    linked : tuple of str
        Names of the parameters that parts share, if they have them; "rates": all relative rates
        are 1.
    """

    parts: tuple[PartSpec, ...] = ()
    linked: tuple[str, ...] = ()

    def start(self, patterns: Any = None) -> np.ndarray:
        """Return a vector theta, shape (n_free,), from which an optimisation may start.

        With `patterns` (`PartitionedPatterns`), free frequencies start at the observed ones, of a
        linked parameter at those of its first part.
        """
        groups = [None] * len(self.parts) if patterns is None else patterns.groups
        pieces: dict[int, np.ndarray] = {}
        for part, group in zip(self.parts, groups, strict=True):
            theta, position = part.spec.start(group), 0
            for number, parameter in zip(part.parameters, part.spec.parameters, strict=True):
                pieces.setdefault(number, theta[position : position + parameter.n_free])
                position += parameter.n_free
        for number, parameter in enumerate(self.parameters):
            if number not in pieces:
                pieces[number] = parameter.to_unconstrained(np.array(parameter.start))
        ordered = [pieces[number] for number in range(len(self.parameters))]
        return np.concatenate(ordered) if ordered else np.zeros(0)

    def resolve(self, patterns: Any) -> PartitionedSpec:
        """Return a copy with the observed frequencies of each part (`PartitionedPatterns`)."""
        parts = tuple(
            replace(part, spec=part.spec.resolve(group))
            for part, group in zip(self.parts, patterns.groups, strict=True)
        )
        return replace(self, parts=parts)

    def with_priors(self, priors: Mapping[str, str]) -> PartitionedSpec:
        """Return a copy with other priors, each for its parameter in all parts that have it.

        Raises
        ------
        UserError
            If no part has such a parameter, or a prior does not fit it.
        """
        free = {parameter.name for parameter in self.parameters}
        parameters = list(self.parameters)
        for name, text in priors.items():
            if name not in free:
                known = (", ".join(sorted(free)) or "none") + did_you_mean(name, free)
                raise UserError(
                    f"prior on '{shortened(name)}': free parameters of the parts are {known}"
                )
            prior = parse_prior(text)
            parameters = [p.with_prior(prior) if p.name == name else p for p in parameters]
        return replace(self, parameters=tuple(parameters))

    def split(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        """Return the natural values of the free parameters, such as "gamma_shape{2}"."""
        values = {}
        for parameter, piece in zip(self.parameters, self._pieces(theta), strict=True):
            values[parameter.name + parameter.part] = parameter.to_natural(piece)
        return values

    def describe(self, theta: np.ndarray) -> dict[str, float]:
        """Return the natural values under the names that MrBayes gives them, such as "alpha{2}".

        Relative rates, "m{1}" and so on, have the mean 1 over all sites.
        """
        described: dict[str, float] = {}
        for part, own in self._own_values(np.asarray(theta, dtype=float)):
            described.update(zip(part, own.tolist(), strict=True))
        return described

    def relative_rates(self, theta: np.ndarray) -> np.ndarray:
        """Return the relative rate m_k of each part, shape (M,)."""
        sizes = np.array([part.n_sites for part in self.parts], float)
        last = self.parameters[-1] if self.parameters else None
        if last is None or last.name != RATES:
            return np.ones(len(sizes))
        return last.to_natural(self._pieces(theta)[-1]) * sizes.sum() / sizes

    def build(self, theta: np.ndarray | None = None) -> PartitionedModel:
        """Return the models of all parts at theta, their relative rates included.

        Parameters
        ----------
        theta : ndarray, shape (n_free,), float64, optional
            Unconstrained values; `start()` when left out.

        Raises
        ------
        ValueError
            If theta has another length, or empirical frequencies have not been resolved.
        """
        theta = self.start() if theta is None else np.asarray(theta, dtype=float)
        if theta.shape != (self.n_free,):
            raise ValueError(f"{self.name} has {self.n_free} free values, found {theta.shape}")
        pieces, models = self._pieces(theta), []
        for part, rate in zip(self.parts, self.relative_rates(theta), strict=True):
            own = [pieces[number] for number in part.parameters]
            model = part.spec.build(np.concatenate(own) if own else np.zeros(0))
            models += [
                replace(one, category_rates=one.category_rates * rate) for one in model.parts
            ]
        return PartitionedModel(self.name, tuple(models))

    def _pieces(self, theta: np.ndarray) -> list[np.ndarray]:
        """Return the coordinates of each parameter."""
        ends = np.cumsum([parameter.n_free for parameter in self.parameters])
        return np.split(np.asarray(theta, dtype=float), ends[:-1]) if ends.size else []

    def _own_values(self, theta: np.ndarray) -> list[tuple[list[str], np.ndarray]]:
        """Return names and natural values of each parameter."""
        found = []
        for parameter, piece in zip(self.parameters, self._pieces(theta), strict=True):
            values = parameter.to_natural(piece)
            if parameter.name == RATES:
                found.append((list(parameter.labels), self.relative_rates(theta)))
                continue
            names = [parameter.mrbayes_name(label) + parameter.part for label in parameter.labels]
            found.append((names, values))
        return found


def partitioned_spec(
    parts: Sequence[tuple[str, ModelSpec, int]], linked: Sequence[str] = ()
) -> PartitionedSpec:
    """Return the models of several parts as one.

    Parameters
    ----------
    parts : sequence of (str, ModelSpec, int)
        Name, model and number of sites of each part.
    linked : sequence of str
        Names of parameters that parts share, out of `LINKABLE`; "rates" makes all rates equal.

    Raises
    ------
    UserError
        A linked parameter is not one that two parts have in the same form.

    Examples
    --------
    >>> from phylogfn.models import parse_model
    >>> hky = parse_model("HKY85+G4", "dna")
    >>> spec = partitioned_spec([("a", hky, 100), ("b", hky, 300)], ["frequencies", "kappa"])
    >>> spec.labels[-4:]
    ('alpha{1}', 'alpha{2}', 'm{1}', 'm{2}')
    """
    members: list[tuple[Parameter, list[int]]] = []
    found: dict[tuple[str, tuple[str, ...]], int] = {}
    numbers: list[list[int]] = []
    for k, (_, spec, _) in enumerate(parts):
        own: list[int] = []
        for parameter in spec.parameters:
            key = (parameter.name, parameter.labels)
            if parameter.name in linked and key in found:
                members[found[key]][1].append(k)
            else:
                found[key] = len(members)
                members.append((parameter, [k]))
            own.append(found[key])
        numbers.append(own)
    _check_links(linked, members, len(parts))
    # in the order of their names, as MrBayes has them
    order = sorted(range(len(members)), key=lambda i: LINKABLE.index(members[i][0].name))
    place = {number: i for i, number in enumerate(order)}
    parameters = [replace(members[i][0], part=_part_name(members[i][1], len(parts))) for i in order]
    if RATES not in linked and len(parts) > 1:
        sizes = np.array([n_sites for _, _, n_sites in parts], float)
        labels = tuple(f"m{{{k}}}" for k in range(1, len(parts) + 1))
        shares = tuple((sizes / sizes.sum()).tolist())
        prior = Prior("dirichlet", (1.0,))
        parameters.append(Parameter(RATES, "simplex", labels, shares, _RATES_BOUNDS, prior))
    specs = tuple(
        PartSpec(name, spec, n_sites, tuple(place[number] for number in own))
        for (name, spec, n_sites), own in zip(parts, numbers, strict=True)
    )
    return PartitionedSpec(
        _joint_name(specs),
        family="",
        n_states=0,
        parameters=tuple(parameters),
        parts=specs,
        linked=tuple(linked),
    )


def shareable(specs: Sequence[ModelSpec]) -> tuple[str, ...]:
    """Return the names of the parameters that some parts can share, relative rates included."""
    keys = [(p.name, p.labels) for spec in specs for p in spec.parameters]
    several = {name for name, labels in keys if keys.count((name, labels)) > 1}
    return tuple(name for name in LINKABLE if name in several or name == RATES)


def _part_name(members: Sequence[int], n_parts: int) -> str:
    """Return the parts of a parameter as MrBayes writes them: {1,3}, {all}; empty for one part."""
    if n_parts == 1:
        return ""
    if len(members) == n_parts:
        return "{all}"
    return "{" + ",".join(str(k + 1) for k in members) + "}"


def _joint_name(parts: Sequence[PartSpec]) -> str:
    """Return such as "GTR+G4 (gene1, gene2); LG (gene3)"."""
    names: dict[str, list[str]] = {}
    for part in parts:
        names.setdefault(part.spec.name, []).append(part.name)
    if len(names) == 1 and len(parts) > 3:
        return f"{parts[0].spec.name} ({len(parts)} parts)"
    return "; ".join(f"{model} ({', '.join(own)})" for model, own in names.items())


def _check_links(
    linked: Sequence[str], members: Sequence[tuple[Parameter, list[int]]], n_parts: int
) -> None:
    shared = {parameter.name for parameter, own in members if len(own) > 1} | {RATES}
    for name in linked:
        if name not in shared:
            own = sorted({parameter.name for parameter, _ in members})
            raise UserError(
                f"--link {shortened(name)}: no two of the {n_parts} parts have this parameter in "
                f"the same form; free parameters are {', '.join(own) or 'none'}"
            )
