"""The settings of ``molgen sample`` and ``molgen exact``: names, defaults and checks in one place.

A setting has the same name in the configuration file (``max_atoms = 30``) and on the command line
(``--max-atoms 30``). The file may hold the tables of the scoring as well (``[scoring]``,
``[[scoring.component]]``), in the place of ``reward``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, field_serializer, field_validator, model_validator

from gfncore.errors import UserError
from gfncore.objectives.registry import find_objective, reward_objectives
from gfncore.program.configuration import (
    RUN_FILE,
    Budget,
    Count,
    Device,
    RunSettings,
    Seed,
    Threads,
    read_config,
    resolve_settings,
)
from gfncore.text.numbers import check_int, shortened
from molgen.output_names import EXACT_OUTPUT_NAMES, OUTPUT_NAMES
from molgen.symmetry import SYMMETRIES, Symmetry

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

MOST_DRAWS = 10_000_000
MOST_COUNT = 10_000  # atoms, rings or fragments of a molecule
MOST_CALLS = 1_000_000_000  # molecules scored
MOST_EXPONENT = 1e6
_ONLY = {
    "atoms": ("elements", "ring_sizes", "max_rings", "strained"),
    "fragments": ("fragments", "max_fragments"),
}
"""Settings that mean something in one environment alone."""


def _words(value: Any) -> Any:
    """``C,N,O`` as a list; a list as it is."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


def _rings(value: Any) -> Any:
    words = [value] if isinstance(value, int) else _words(value)
    if not isinstance(words, list | tuple) or tuple(words) in (("any",), ("none",)):
        return words
    try:
        return [check_int(word, -MOST_COUNT, MOST_COUNT) for word in words]
    except ValueError:
        raise ValueError(
            f"{shortened(repr(value))} are not ring sizes; write them as 5,6, or 'any', or 'none' "
            "for no rings"
        ) from None


def _corrections(value: Any) -> Any:
    words = _words(value)
    return list(SYMMETRIES) if words == ["all"] else words


def _ring_count(value: Any) -> Any:
    if not isinstance(value, str) or value == "any":
        return value
    try:
        return check_int(value, 0, MOST_COUNT)
    except ValueError:
        raise ValueError(
            f"{shortened(repr(value))} is not a number of rings; write 6, or 'any'"
        ) from None


Names = Annotated[tuple[str, ...], BeforeValidator(_words)]
RingSizes = Annotated[
    tuple[int, ...] | tuple[Literal["any", "none"]],
    BeforeValidator(_rings),
]


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


class MoleculeSettings(RunSettings):
    """What both commands are told of the space of molecules and of its score."""

    EXCLUSIVE: ClassVar[tuple[tuple[str, ...], ...]] = (("reward", "scoring", "scoring_directory"),)
    NOT_CONFIGURED: ClassVar[tuple[str, ...]] = (*RunSettings.NOT_CONFIGURED, "config_file")
    CONTINUABLE: ClassVar[tuple[str, ...]] = (*RunSettings.CONTINUABLE, "config_file")
    LIMITS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Defaults that depend on the environment."""

    output: Path
    """Directory of the results."""
    reward: str | None = None
    """A score by its name, as ``molgen rewards`` lists them; ``qed`` where no score is given."""
    scoring: dict[str, Any] | None = None
    """The tables of a scoring file, instead of ``reward``."""
    scoring_directory: str | None = None
    """Where files that ``scoring`` names are looked for."""
    config_file: Path | None = None
    """The file that settings came from, as messages call it."""
    environment: Literal["fragments", "atoms"] = "fragments"
    """Construction method: from atoms or from fragments."""
    elements: Names | None = None
    """Kinds of atom (environment ``atoms``)."""
    ring_sizes: RingSizes | None = None
    """Sizes of rings allowed (environment ``atoms``)."""
    max_rings: Annotated[int | Literal["any"], BeforeValidator(_ring_count)] | None = None
    """Maximum number of rings per molecule (environment ``atoms``)."""
    strained: bool | None = None
    """Whether rings may have triple bonds and cumulated double bonds (environment ``atoms``)."""
    fragments: str | None = None
    """File of fragments (environment ``fragments``); None for the one that comes with molgen."""
    max_fragments: int | None = None
    """Maximum number of fragments per molecule (environment ``fragments``)."""
    max_atoms: int | None = None
    """Maximum number of heavy atoms per molecule."""
    core: str | None = None
    """SMILES that every molecule grows from."""
    seed: Seed = 1
    """Seed of all random numbers."""
    threads: Threads = None
    """Threads; None for all the cores that this process may use."""
    device: Device = "auto"
    """Device of the network."""
    budget: Budget = "5m"
    """Wall-clock time for training."""
    resume: bool = False
    force: bool = False
    quiet: bool = False

    @property
    def input_files(self) -> tuple[Path, ...]:
        """The files of fragments and of settings that the run reads, where it reads some."""
        fragments = None if self.fragments is None else Path(self.fragments)
        return tuple(path for path in (fragments, self.config_file) if path is not None)

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
        source = self.config_file or (run_file if run_file.is_file() else "scoring")
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


class SampleSettings(MoleculeSettings):
    """Settings of ``molgen sample``."""

    COMMAND: ClassVar[str] = "molgen sample"
    CONTINUABLE: ClassVar[tuple[str, ...]] = (
        *MoleculeSettings.CONTINUABLE,
        "oracle_calls",
        "max_per_scaffold",
    )
    LIMITS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "atoms": {
            "elements": ("C", "N", "O", "F", "S", "Cl"),
            "ring_sizes": (5, 6),
            "max_rings": 6,
            "strained": False,
            "max_atoms": 30,
        },
        "fragments": {"max_fragments": 8, "max_atoms": 45},
    }

    samples: Count = 1000
    """Number of molecules in the library."""
    max_per_scaffold: int | None = None
    """Maximum number of library molecules per Murcko scaffold; None for no limit."""
    oracle_calls: int = 100_000
    """Maximum number of molecules to score."""
    symmetry: Symmetry = "merged"
    """Correction of the sampling probabilities of symmetric molecules."""
    objective: str = "log_variance"
    """Training objective (loss)."""
    order_temperature: float | None = None
    """Temperature of an order that is learned; lower values concentrate on the best more slowly."""
    reward_exponent: float = 64.0
    """Molecules are drawn in proportion to the score raised to this power."""
    tensorboard: bool = False
    """Whether the figures of training are written for TensorBoard as well."""

    @classmethod
    def result_names(cls) -> tuple[str, ...]:
        """Return the names that may appear in the output directory."""
        return OUTPUT_NAMES

    @property
    def proportional(self) -> bool:
        """Whether draws are proportional to a reward: an order alone gives no distribution."""
        return not find_objective(self.objective).orders

    @model_validator(mode="before")
    @classmethod
    def _resolve_order(cls, values: Any) -> Any:
        """Set the temperature where there is an order, and refuse it where there is none."""
        if not isinstance(values, dict):
            return values
        with_order = reward_objectives(orders=True)
        if values.get("objective") in with_order:
            given = values.get("order_temperature")
            return values | {"order_temperature": 1.0 if given is None else given}
        if values.get("order_temperature") is not None:
            raise ValueError(
                f"--order-temperature belongs to --objective {' or '.join(with_order)}; leave it "
                "out, or give that objective"
            )
        return values

    @field_validator("objective")
    @classmethod
    def _objective(cls, value: str) -> str:
        offered = reward_objectives()
        if value not in offered:
            raise ValueError(
                f"{shortened(repr(value))} is not offered; choose "
                f"{', '.join(map(repr, offered[:-1]))} or {offered[-1]!r}"
            )
        return value

    @field_validator("order_temperature")
    @classmethod
    def _order_temperature(cls, value: float | None) -> float | None:
        if value is not None and not 0.0 < value < float("inf"):
            raise ValueError(f"{value} is not a temperature; give a number above 0, such as 0.125")
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

    @field_validator("reward_exponent")
    @classmethod
    def _reward_exponent(cls, value: float) -> float:
        if not 0 <= value <= MOST_EXPONENT:
            raise ValueError(
                f"{value} is out of range; give an exponent from 0 to {MOST_EXPONENT:g}"
            )
        return value


def _draws(value: Any) -> int:
    return check_int(value, 2, MOST_DRAWS)  # one alone gives no standard error


class ExactSettings(MoleculeSettings):
    """Settings of ``molgen exact``."""

    COMMAND: ClassVar[str] = "molgen exact"
    LIMITS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "atoms": {
            "elements": ("C", "N", "O"),
            "ring_sizes": ("any",),
            "max_rings": "any",
            "strained": True,
            "max_atoms": 5,
        },
        "fragments": {"max_fragments": 3, "max_atoms": 45},
    }

    environment: Literal["fragments", "atoms"] = "atoms"
    """Construction method: from atoms or from fragments."""
    symmetry: Annotated[tuple[Symmetry, ...], BeforeValidator(_corrections)] = SYMMETRIES
    """The corrections to compare."""
    draws: Annotated[int, BeforeValidator(_draws)] = 100_000
    """Molecules drawn from the trained sampler for the test of goodness of fit."""

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
    said = {**given, "config_file": config}
    if config is not None:
        from molgen.scoring.reinvent import refuse_reinvent_file

        refuse_reinvent_file(config)
    if config is None or said.get("reward") is not None:
        return said
    filed = read_config(kind, config)
    if "scoring" in filed and "scoring_directory" not in filed:
        said.update(scoring=filed["scoring"], scoring_directory=str(config.absolute().parent))
    return said
