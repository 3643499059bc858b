"""The settings of ``molgen sample`` and ``molgen exact``: their options, checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import field_serializer, field_validator, model_validator

from gfncore.errors import UserError
from gfncore.objectives.registry import find_objective, reward_objectives
from gfncore.program.configuration import RUN_FILE, RunSettings, read_config, resolve_settings
from gfncore.program.objectives import check_lambda, check_offered, settings_with_options
from gfncore.text.numbers import check_int
from molgen.options import (
    DEFAULT_CONDITIONING,
    MOST_COUNT,
    ExactOptions,
    MoleculeOptions,
    SampleOptions,
    read_exponents,
)
from molgen.output_names import EXACT_OUTPUT_NAMES, OUTPUT_NAMES

if TYPE_CHECKING:
    from molgen.scoring import Scoring

__all__ = [
    "ExactSettings",
    "SampleSettings",
    "open_scoring",
    "resolve_exact",
    "resolve_sample",
    "scoring_of_config",
]

MOST_CALLS = 1_000_000_000  # molecules scored
_OBJECTIVE_OPTIONS = ("order_temperature", "sub_trajectory_lambda")
_FLOW_OBJECTIVES = ("detailed_balance", "sub_trajectory_balance")
_ONLY = {
    "atoms": ("elements", "ring_sizes", "max_rings", "strained"),
    "fragments": ("fragments", "max_fragments"),
}
"""Settings that mean something in one environment alone."""


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in nested tables that could be the name of a file."""
    if isinstance(value, str) and "\0" not in value and len(value) < 4096:
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)


def _without_functions(value: Any) -> Any:
    """Return nested tables with ``module:function`` in place of functions."""
    if isinstance(value, Mapping):
        return {key: _without_functions(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_functions(entry) for entry in value]
    return f"{value.__module__}:{value.__qualname__}" if callable(value) else value


def _several(value: Any) -> bool:
    """Return whether a value that may be given as reward exponent has several."""
    try:
        return value is not None and isinstance(read_exponents(value), tuple)
    except ValueError:  # its own check refuses it
        return False


class MoleculeSettings(MoleculeOptions, RunSettings):
    """What both commands are told of the space of molecules and of its score."""

    EXCLUSIVE: ClassVar[tuple[tuple[str, ...], ...]] = (("reward", "scoring", "scoring_directory"),)

    @property
    def input_files(self) -> tuple[Path, ...]:
        """The files of fragments and of settings that the run reads, where it reads some."""
        fragments = None if self.fragments is None else Path(self.fragments)
        return tuple(path for path in (fragments, self.config) if path is not None)

    def input_paths(self) -> tuple[Path, ...]:
        """Return what may be files that the run reads, those that its scoring names included."""
        folder = Path(self.scoring_directory or ".")
        named = [Path(text.rpartition(":")[0] or text) for text in _texts(self.scoring or {})]
        return (*self.input_files, *named, *(folder / path for path in named))

    @property
    def allowed_ring_sizes(self) -> tuple[int, ...] | None:
        """Sizes of rings allowed; None for any."""
        if self.ring_sizes in (None, ("any",)):
            return None
        if self.ring_sizes == ("none",):
            return ()
        return tuple(int(size) for size in self.ring_sizes or ())

    @property
    def most_rings(self) -> int | None:
        """Maximum number of rings per molecule; None for any number."""
        return self.max_rings if isinstance(self.max_rings, int) else None

    def open_scoring(self, **options: Any) -> Scoring:
        """Return the scoring asked for; see :func:`open_scoring`."""
        run_file = self.output / RUN_FILE
        source = self.config or (run_file if run_file.is_file() else "scoring")
        return open_scoring(self.model_dump(), source=str(source), **options)

    @property
    def score_name(self) -> str:
        """The score in a few words."""
        if self.reward is not None:
            return self.reward
        components = (self.scoring or {}).get("component", [])
        names = [str(c.get("name", c.get("type", "?"))) for c in components if isinstance(c, dict)]
        return " \u00d7 ".join(names) if names else "scoring file"

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, values: Any) -> Any:
        """Set what depends on other settings, so that ``run.toml`` tells all of it."""
        if not isinstance(values, dict):
            return values
        values = {key: value for key, value in values.items() if value is not None}
        if "reward" in values and "scoring" in values:
            raise ValueError("both 'reward' and the tables [scoring] are given; remove one of them")
        if "scoring" not in values:
            values.setdefault("reward", "qed")
        environment = values.get("environment", cls.model_fields["environment"].default)
        if not isinstance(environment, str):  # its own check refuses it
            return values
        for other, keys in _ONLY.items():
            for key in keys:
                if key in values and other != environment and environment in _ONLY:
                    raise ValueError(
                        f"--{key.replace('_', '-')} belongs to the environment {other}; leave it "
                        f"out, or give --environment {other}"
                    )
        for key, value in cls.LIMITS.get(environment, {}).items():
            values.setdefault(key, value)
        return values

    @field_serializer("scoring", when_used="json")
    def _named(self, value: dict[str, Any] | None) -> dict[str, Any] | None:
        """Functions by their names: `molgen.api.sample` takes them as they are."""
        return None if value is None else _without_functions(value)

    @field_validator("elements")
    @classmethod
    def _elements(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and (not value or len(set(value)) < len(value)):
            raise ValueError("name each element once, such as C,N,O")
        return value

    @field_validator("ring_sizes")
    @classmethod
    def _ring_sizes(cls, value: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if value not in (None, ("any",), ("none",)) and (
            not value or any(int(size) < 3 for size in value)
        ):
            raise ValueError("rings have at least 3 atoms; write sizes as 5,6")
        return value

    @field_validator("max_rings")
    @classmethod
    def _max_rings(cls, value: int | str | None) -> int | str | None:
        if isinstance(value, int) and value < 0:
            raise ValueError(f"{value} is not a number of rings; give 0 or more, or any")
        return value

    @field_validator("max_atoms", "max_fragments")
    @classmethod
    def _positive(cls, value: int | None) -> int | None:
        if value is not None and value < 1:
            raise ValueError(f"{value} leaves no molecule to build; give at least 1")
        return None if value is None else check_int(value, 1, MOST_COUNT)


class SampleSettings(SampleOptions, MoleculeSettings):
    """Settings of ``molgen sample``."""

    COMMAND: ClassVar[str] = "molgen sample"
    CONTINUABLE: ClassVar[tuple[str, ...]] = (
        *MoleculeSettings.CONTINUABLE,
        "oracle_calls",
        "max_per_scaffold",
        "reward_exponent",  # within the range that the sampler was trained for
    )

    @classmethod
    def result_names(cls) -> tuple[str, ...]:
        """Return the names that may appear in the output directory."""
        return OUTPUT_NAMES

    @property
    def exponents(self) -> tuple[float, ...]:
        """The reward exponents asked for, ascending."""
        value = self.reward_exponent
        return value if isinstance(value, tuple) else (value,)

    @property
    def proportional(self) -> bool:
        """Whether draws are proportional to a reward: an order alone gives no distribution."""
        return not find_objective(self.objective).orders

    @model_validator(mode="before")
    @classmethod
    def _resolve_objective_options(cls, values: Any) -> Any:
        """Set the options of the objective and of several exponents; refuse those of others."""
        if not isinstance(values, dict):
            return values
        values = settings_with_options(values, _OBJECTIVE_OPTIONS)
        if values.get("conditioning") is None and _several(values.get("reward_exponent")):
            values["conditioning"] = DEFAULT_CONDITIONING
        return values

    @model_validator(mode="after")
    def _check_exponents(self) -> Self:
        """Refuse several exponents, or what belongs to them, where there is no distribution."""
        several = len(self.exponents) > 1
        if not self.proportional and (several or self.conditioning is not None):
            given = "several values of --reward-exponent" if several else "--conditioning"
            raise ValueError(
                f"--objective {self.objective} draws by rank, which no exponent changes; leave out "
                f"{given}"
            )
        if self.conditioning == "scaling" and self.objective in _FLOW_OBJECTIVES:
            raise ValueError(
                f"--objective {self.objective} learns flows, which a factor on the logits does not "
                "change; give --conditioning both or input"
            )
        if self.conditioning is not None and self.exponents[0] == 0.0:
            raise ValueError("--conditioning needs exponents above 0; leave it out")
        return self

    @model_validator(mode="after")
    def _backward_policy_fits(self) -> Self:
        """Refuse a learned backward policy of raw actions, or of several exponents."""
        if self.backward_policy != "uniform" and self.symmetry != "merged":
            raise ValueError(
                f"--backward-policy {self.backward_policy} needs --symmetry merged; leave one of "
                "them out"
            )
        if self.backward_policy != "uniform" and self.conditioning is not None:
            raise ValueError(
                f"--backward-policy {self.backward_policy} needs a single --reward-exponent; give "
                "one exponent, or leave it out"
            )
        return self

    @field_validator("objective")
    @classmethod
    def _objective(cls, value: str) -> str:
        check_offered(value, reward_objectives())
        return value

    @field_validator("order_temperature")
    @classmethod
    def _order_temperature(cls, value: float | None) -> float | None:
        if value is not None and not 0.0 < value < float("inf"):
            raise ValueError(f"{value} is not a temperature; give a number above 0, such as 0.125")
        return value

    @field_validator("sub_trajectory_lambda")
    @classmethod
    def _sub_trajectory_lambda(cls, value: float | None) -> float | None:
        check_lambda(value)
        return value

    @field_validator("max_per_scaffold")
    @classmethod
    def _max_per_scaffold(cls, value: int | None) -> int | None:
        if value is not None and value < 1:
            raise ValueError(f"{value} molecules per scaffold is out of range; give at least 1")
        return None if value is None else check_int(value, 1, MOST_CALLS)

    @field_validator("oracle_calls")
    @classmethod
    def _oracle_calls(cls, value: int) -> int:
        if value < 1:
            raise ValueError(f"{value} oracle calls is out of range; give at least 1")
        return check_int(value, 1, MOST_CALLS)


class ExactSettings(ExactOptions, MoleculeSettings):
    """Settings of ``molgen exact``."""

    COMMAND: ClassVar[str] = "molgen exact"

    @classmethod
    def result_names(cls) -> tuple[str, ...]:
        """Return the names that may appear in the output directory."""
        return EXACT_OUTPUT_NAMES


def resolve_sample(given: Mapping[str, Any], config: Path | None = None) -> SampleSettings:
    """Return the settings of ``molgen sample``.

    See :func:`gfncore.program.configuration.resolve_settings`.
    """
    return resolve_settings(SampleSettings, _with_file(given, config, SampleSettings), config)


def resolve_exact(given: Mapping[str, Any], config: Path | None = None) -> ExactSettings:
    """Return the settings of ``molgen exact``.

    See :func:`gfncore.program.configuration.resolve_settings`.
    """
    return resolve_settings(ExactSettings, _with_file(given, config, ExactSettings), config)


def open_scoring(
    settings: Mapping[str, Any], *, source: str = "scoring", **options: Any
) -> Scoring:
    """Return the scoring that settings ask for.

    Parameters
    ----------
    settings : mapping
        ``reward``, or ``scoring`` and ``scoring_directory``.
    source : str
        Where ``scoring`` comes from, for messages.
    **options
        What :class:`molgen.scoring.Scoring` takes, such as ``workers``.

    Raises
    ------
    UserError
        There is no such reward, or something in the tables is wrong.
    """
    from molgen.scoring import Scoring

    if settings.get("scoring") is None:
        reward = settings.get("reward")
        return Scoring.preset("qed" if reward is None else reward, **options)
    directory = settings.get("scoring_directory")
    return Scoring.from_config(
        settings["scoring"],
        source=source,
        directory=Path(directory) if directory else None,
        **options,
    )


def scoring_of_config(path: Path) -> dict[str, Any]:
    """Return the settings ``reward``, ``scoring`` and ``scoring_directory`` of a file.

    The file may be a scoring file alone or a ``run.toml``.

    Raises
    ------
    UserError
        It cannot be read, has a key that is not known, or a reward or directory that is no text.
    """
    from molgen.scoring.reinvent import refuse_reinvent_file

    refuse_reinvent_file(path)
    filed = read_config(SampleSettings, path)
    for key in ("reward", "scoring_directory"):
        if key in filed and not isinstance(filed[key], str):
            raise UserError(f"{path}: '{key}' is {filed[key]!r}; it must be a text")
    if "reward" in filed and "scoring" in filed:
        raise UserError(
            f"{path}: both 'reward' and the tables [scoring] are given; remove one of them"
        )
    return {
        "reward": filed.get("reward"),
        "scoring": filed.get("scoring"),
        "scoring_directory": filed.get("scoring_directory", str(path.absolute().parent)),
    }


def _with_file(
    given: Mapping[str, Any], config: Path | None, kind: type[MoleculeSettings]
) -> dict[str, Any]:
    """Add where the settings come from, where files that its scoring names are looked for."""
    said = {**given, "config": config}
    if config is not None:
        from molgen.scoring.reinvent import refuse_reinvent_file

        refuse_reinvent_file(config)
    if config is None or said.get("reward") is not None:
        return said
    filed = read_config(kind, config)
    if "scoring" in filed and "scoring_directory" not in filed:
        said.update(scoring=filed["scoring"], scoring_directory=str(config.absolute().parent))
    return said
