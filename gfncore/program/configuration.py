"""Settings from the command line over a configuration file over defaults.

The file is TOML with one key a setting, named as on the command line (``branch_prior`` or
``branch-prior``). A key that is not known is an error that names its neighbour. A program derives
the settings of its commands from :class:`RunSettings`.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_type_hints

import tomli_w
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from gfncore.errors import UserError
from gfncore.program.messages import Note
from gfncore.program.options import Options
from gfncore.program.output import RUN_HEAD, absolute_path, check_inputs
from gfncore.text.durations import parse_duration
from gfncore.text.hints import did_you_mean
from gfncore.text.input import read_bytes
from gfncore.text.numbers import parse_int, shortened

__all__ = [
    "RUN_FILE",
    "RunSettings",
    "available_cores",
    "available_memory",
    "check_text",
    "read_config",
    "read_toml",
    "resolve_settings",
    "settings_toml",
]

RUN_FILE = "run.toml"
"""Where a run leaves its settings, in its output directory."""
_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
THREADS_A_CORE = 4  # more take memory, and no less time
_TOML_LIMIT = 4 * 2**20  # bytes
_TOML_DEPTH = 50


class RunSettings(BaseModel, Options):
    """Common settings of all commands that perform a run.

    The settings of a command derive from its options, which are the fields, and from this class.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    COMMAND: ClassVar[str] = ""
    """The command, such as ``phylogfn sample``."""
    NOT_CONFIGURED: ClassVar[tuple[str, ...]] = ("output", "config", "resume", "force", "quiet")
    """Settings of one call, which a configuration file does not hold."""
    CONTINUABLE: ClassVar[tuple[str, ...]] = (
        "budget",
        "samples",
        "threads",
        "device",
        "tensorboard",
        "quiet",
        "output",
        "config",
        "resume",
        "force",
    )
    """Settings that may change when a run is resumed."""
    PLACES: ClassVar[tuple[str, ...]] = ("alignment", "fragments", "scoring_directory")
    """Settings that say where an input lies."""
    BEFORE: ClassVar[Mapping[str, Any]] = {}
    """Values of settings of runs that were made before there were these settings."""
    EXCLUSIVE: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of settings of which one on the command line stands for those of the file."""
    MISSING: ClassVar[Mapping[str, str]] = {}
    """What to say when a setting without a default is not given."""

    if TYPE_CHECKING:  # declared by the options of a command, in the order of its help
        output: Path
        budget: str
        seed: int
        threads: int | None
        device: str
        tensorboard: bool
        quiet: bool

    @property
    def budget_seconds(self) -> float:
        """The budget in seconds."""
        return parse_duration(self.budget)

    @property
    def n_threads(self) -> int:
        """Resolved number of threads, at most `THREADS_A_CORE` per core."""
        cores = available_cores()
        return cores if self.threads is None else min(self.threads, THREADS_A_CORE * cores)

    @property
    def threads_note(self) -> Note | None:
        """A note if fewer threads are used than requested."""
        if self.threads is None or self.threads == self.n_threads:
            return None
        cores = available_cores()
        return Note(
            "fewer-threads",
            f"--threads {self.threads}: {self.n_threads} are used, as this process may use "
            f"{cores} core{'' if cores == 1 else 's'}",
        )

    @property
    def tensorboard_directory(self) -> Path | None:
        """Where the figures of training go for TensorBoard; None where they are not asked for."""
        return self.output / "tensorboard" if self.tensorboard else None

    @classmethod
    def result_names(cls) -> tuple[str, ...]:
        """Return the names that may appear in the output directory."""
        return ()

    def input_paths(self) -> tuple[Path, ...]:
        """Return the values that may be input files of the run."""
        return ()

    def origin(self) -> dict[str, Any]:
        """Return the origin recorded in a checkpoint of the run: command, version, fixed settings.

        Paths of inputs may change; their content is identified by checksums.
        """
        from gfncore.program.provenance import software_version

        left_out = {*self.CONTINUABLE, *self.PLACES}
        lasting = {k: v for k, v in self.configured().items() if k not in left_out}
        return {"command": self.COMMAND, "version": software_version(), "settings": lasting}

    def configured(self) -> dict[str, Any]:
        """Return the settings for ``run.toml``, without those that are None."""
        values = self.model_dump(mode="json", exclude=set(self.NOT_CONFIGURED))
        return {key: value for key, value in values.items() if value is not None}


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> int | None:
    """Return the memory that this process may use, in bytes; None if it is not known.

    It is that of the machine, or of the control group (container) if that is less.
    """
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    try:
        limit = parse_int(_GROUP_LIMIT.read_text(encoding="ascii").strip(), 1, 2**63)
    except (OSError, ValueError):  # no control group of version 2, or "max"
        return machine
    return min(machine, limit)


Kind = TypeVar("Kind", bound=RunSettings)


def resolve_settings(
    kind: type[Kind], given: Mapping[str, Any], config: Path | None = None
) -> Kind:
    """Return the settings of a run.

    Parameters
    ----------
    kind : type
        The class of the settings.
    given : mapping of str to object
        Values of the command line; None for options not given.
    config : Path, optional
        The configuration file. When a run is resumed, its ``run.toml`` is also read, and only the
        settings in :attr:`RunSettings.CONTINUABLE` may differ from it.

    Raises
    ------
    UserError
        A value or key is invalid; the message gives its origin.
    """
    said = {key: value for key, value in given.items() if value is not None}
    filed = read_config(kind, config) if config is not None else {}
    for group in kind.EXCLUSIVE:
        if any(key in said for key in group):
            filed = {key: value for key, value in filed.items() if key not in group}
    origin = dict.fromkeys(filed, str(config))
    values = {**filed, **said}
    origin.update((key, _option(kind, key)) for key in said)
    if values.get("resume"):
        earlier_path = Path(values["output"]) / RUN_FILE
        if earlier_path.is_file():
            earlier = {**kind.BEFORE, **read_config(kind, earlier_path)}
            _check_unchanged(kind, values, earlier, earlier_path)
            values = {**earlier, **values}
            origin = {**dict.fromkeys(earlier, str(earlier_path)), **origin}
    for key, message in kind.MISSING.items():
        if key not in values:
            raise UserError(message)
    for key, value in values.items():
        _check_given(kind, key, value, origin)
    if "output" in values:  # results stay together where a score changes the directory
        values["output"] = absolute_path(Path(values["output"]))
    try:
        settings = kind(**values)
    except ValidationError as error:
        raise UserError(_one_line(kind, error, origin)) from None
    read = [*settings.input_paths(), *([] if config is None else [config])]
    check_inputs(settings.output, read, kind.result_names())
    return settings


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises
    ------
    UserError
        The file cannot be read or is not valid TOML.
    """
    check_text(str(path), "--config")
    data = read_bytes(path, limit=_TOML_LIMIT)
    try:
        values = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not a text file in UTF-8; give a TOML file") from None
    except tomllib.TOMLDecodeError as problem:
        raise UserError(f"{path}: is not valid TOML: {problem}") from None
    except RecursionError:
        raise _too_deep(path) from None
    except ValueError:  # of `int`, for thousands of digits
        raise UserError(
            f"{path}: has a number of thousands of digits; integers have at most 64 bits"
        ) from None
    _check_values(values, path)
    return values


def _check_values(values: dict[str, Any], path: Path) -> None:
    """Refuse values that would cause errors later: integers over 64 bits, deep nesting."""
    level: list[Any] = [values]
    for _ in range(_TOML_DEPTH):
        inner: list[Any] = []
        for entry in level:
            if isinstance(entry, dict):
                inner += entry.values()
            elif isinstance(entry, list):
                inner += entry
            elif isinstance(entry, int) and not -(2**63) <= entry < 2**63:
                raise UserError(
                    f"{path}: has an integer of {entry.bit_length()} bits; they have at most 64"
                )
        if not inner:
            return
        level = inner
    raise _too_deep(path)


def _too_deep(path: Path) -> UserError:
    return UserError(
        f"{path}: is nested more than {_TOML_DEPTH} levels deep; no setting needs more than 5"
    )


def read_config(kind: type[RunSettings], path: Path) -> dict[str, Any]:
    """Return the settings in a configuration file.

    Raises
    ------
    UserError
        The file cannot be read, is not valid TOML, or has an unknown key.
    """
    known = [name for name in kind.model_fields if name not in kind.NOT_CONFIGURED]
    settings = {}
    for key, value in read_toml(path).items():
        name = key.replace("-", "_")
        if name not in known:
            raise UserError(f"{path}: unknown key '{key}'{_neighbour(name, known)}")
        settings[name] = value
    return settings


def settings_toml(settings: RunSettings) -> str:
    """Return the resolved settings as the text of ``run.toml``."""
    head = f"{RUN_HEAD} To repeat it: {settings.COMMAND} --config run.toml -o OUT\n"
    return head + tomli_w.dumps(_without_none(settings.configured()))


def _without_none(values: Any) -> Any:
    """Leave out the entries of nested mappings that are None: TOML has no null."""
    if isinstance(values, Mapping):
        return {key: _without_none(value) for key, value in values.items() if value is not None}
    if isinstance(values, list | tuple):
        return [_without_none(value) for value in values]
    return values


def _check_unchanged(
    kind: type[RunSettings], values: dict[str, Any], earlier: dict[str, Any], path: Path
) -> None:
    defaults = {name: field.default for name, field in kind.model_fields.items()}
    for key, value in values.items():
        before = earlier.get(key, defaults.get(key))
        if key in kind.CONTINUABLE:
            continue
        if _as_read(kind, key, value) != _as_read(kind, key, before):
            raise UserError(
                f"{_option(kind, key)} {value} differs from the run to resume ({path}: "
                f"{before!r}); leave it out, or start a new run in another directory"
            )


def _as_read(kind: type[RunSettings], key: str, value: Any) -> Any:
    """Return a value as stored in its field: ``C,N`` and ``["C", "N"]`` are the same."""
    try:
        return TypeAdapter(get_type_hints(kind, include_extras=True)[key]).validate_python(value)
    except ValidationError:  # reported when the settings are created
        return value


def _check_given(kind: type[RunSettings], key: str, value: Any, origin: Mapping[str, str]) -> None:
    """Refuse text that no file or terminal takes, and truth values where numbers are expected."""
    place = _place(kind, key, origin)
    if isinstance(value, str | Path):
        check_text(str(value), place)
    annotation = str(kind.model_fields[key].annotation) if key in kind.model_fields else "bool"
    if isinstance(value, bool) and "bool" not in annotation:
        raise UserError(
            f"{place}: {str(value).lower()} is a Boolean value; give a number or a string"
        )


def check_text(text: str, place: str) -> None:
    """Refuse a text, such as the name of a file, that cannot be written as UTF-8 or has a NUL.

    Parameters
    ----------
    text : str
    place : str
        The option, or the file and key, of the text.

    Raises
    ------
    UserError
        The text is of that kind.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{place}: the name {shortened(text, 200)} is not valid UTF-8, so no report could "
            "name it; rename the file or directory"
        ) from None
    if "\0" in text:
        raise UserError(f"{place}: {shortened(text, 200)} contains a NUL character; remove it")


def _one_line(kind: type[RunSettings], error: ValidationError, origin: Mapping[str, str]) -> str:
    problem = error.errors()[0]
    key = str(problem["loc"][0]) if problem["loc"] else "settings"
    message = problem["msg"].removeprefix("Value error, ")
    found = shortened(repr(problem["input"]), 80)
    if problem["type"] == "literal_error":
        message = f"{found} is not offered; {message.removeprefix('Input should be ')}"
        message = message.replace("; ", "; choose ")
    elif problem["type"] != "value_error":
        message = f"{found} is not valid: {message[0].lower()}{message[1:]}"
    if not problem["loc"]:  # a check of several settings together names them itself
        named = [key for key in origin if key in message or _option(kind, key) in message]
        files = dict.fromkeys(origin[key] for key in named if origin[key] != _option(kind, key))
        return ": ".join([*files, message])
    return f"{_place(kind, key, origin)}: {message}"


def _place(kind: type[RunSettings], key: str, origin: Mapping[str, str]) -> str:
    where = origin.get(key, "")
    label = _option(kind, key)
    return label if where in ("", label) else f"{where}: {key}"


def _option(kind: type[RunSettings], key: str) -> str:
    return kind.POSITIONAL.get(key) or kind.option_name(key)


def _neighbour(name: str, known: list[str]) -> str:
    return did_you_mean(name, known) or f" (there are: {', '.join(known)})"
