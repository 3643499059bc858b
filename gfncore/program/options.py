"""Options: the name, type, default, help and heading of each setting, defined once.

The options of a command are a class of annotated attributes, in the order of its help::

    class SampleOptions(Options):
        GROUPS = ("Run",)
        output: Output
        samples: Annotated[Count, Option("Number of draws to write.", group="Run")] = 1000

`gfncore.program.command_line.with_options` makes the command line from it, and the settings derive
from it and from :class:`gfncore.program.configuration.RunSettings`, which checks the values.
Nothing here imports pydantic, which would lengthen ``--help`` by a third (0.1 s).
"""

# Annotations are objects here, not texts, which early pydantic 2 would look up in another module.
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, dataclass_transform, get_type_hints

from gfncore.errors import UserError
from gfncore.text.durations import parse_duration
from gfncore.text.numbers import check_int

__all__ = [
    "RUN",
    "Budget",
    "Check",
    "Config",
    "Count",
    "Device",
    "Force",
    "Option",
    "Options",
    "Output",
    "Quiet",
    "Resume",
    "Seed",
    "Tensorboard",
    "Threads",
    "integer",
]

MOST_SAMPLES = 1_000_000
MOST_THREADS = 1024
RUN = "Run"
"""The heading of the options of training and drawing."""


@dataclass(frozen=True)
class Option:
    """Properties of an option in addition to the name, type and default of its attribute.

    Attributes
    ----------
    help : str
        As Markdown.
    group : str
        Its heading in the help; if empty, that of all parameters.
    shown : str, optional
        The default shown in the help, if different from that of the attribute.
    names : tuple of str
        Names on the command line, if different from that of the attribute.
    words : type, optional
        The type on the command line, if different from that of the attribute.
    leading_hyphen : bool
        Whether the value may begin with a hyphen.
    repeated : bool
        Whether each word of a list needs the name of the option before it.
    """

    help: str
    group: str = ""
    shown: str | None = None
    names: tuple[str, ...] = ()
    words: Any = None
    leading_hyphen: bool = False
    repeated: bool = False


@dataclass(frozen=True)
class Check:
    """A function that checks or converts a value before its type is checked.

    It is pydantic's ``BeforeValidator``, imported when settings are made.
    """

    function: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Return the schema that pydantic asks an annotation for."""
        from pydantic import BeforeValidator

        return BeforeValidator(self.function).__get_pydantic_core_schema__(source, handler)


@dataclass_transform(kw_only_default=True)
class Options:
    """The options of a command: annotated attributes of a derived class.

    An attribute without an :class:`Option` is a setting that the command line does not have.
    """

    GROUPS: ClassVar[tuple[str, ...]] = ()
    """Headings of the help, in its order."""
    POSITIONAL: ClassVar[Mapping[str, str]] = {}
    """Settings that the command line takes by place, with the word for them."""

    @classmethod
    def option_name(cls, name: str) -> str:
        """Return the name of a setting on the command line, such as ``--branch-prior``."""
        extras = getattr(get_type_hints(cls, include_extras=True).get(name), "__metadata__", ())
        names = [extra.names[0] for extra in extras if isinstance(extra, Option) and extra.names]
        return names[-1] if names else f"--{name.replace('_', '-')}"

    @classmethod
    def checked(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all options, for a command without a configuration file.

        Parameters
        ----------
        given : mapping of str to object
            Values of the command line; None for options not given, which have their defaults.

        Raises
        ------
        UserError
            A value is invalid, or missing and without a default.
        """
        values = {}
        for name, hint in get_type_hints(cls, include_extras=True).items():
            extras = getattr(hint, "__metadata__", ())
            if not any(isinstance(extra, Option) for extra in extras):
                continue
            place = cls.POSITIONAL.get(name) or cls.option_name(name)
            value = given.get(name)
            if value is None:
                if not hasattr(cls, name):
                    raise UserError(f"{place} is missing; --help describes it")
                values[name] = getattr(cls, name)
                continue
            for check in (extra for extra in extras if isinstance(extra, Check)):
                try:
                    value = check.function(value)
                except ValueError as error:
                    raise UserError(f"{place}: {error}") from None
            values[name] = value
        return values

    @classmethod
    def shown_default(cls, name: str) -> str | None:
        """Return the default for the help, unless an :class:`Option` sets it; None if none."""
        value = getattr(cls, name, None)
        return f"{value:g}" if isinstance(value, float) else None if value is None else str(value)


def integer(low: int, high: int) -> Check:
    """Return a check of an integer setting."""
    return Check(lambda value: check_int(value, low, high))


def _check_budget(value: Any) -> str:
    text = str(value) if isinstance(value, int | float) else value
    if not isinstance(text, str):
        raise ValueError("write 30s, 5m or 1h")
    parse_duration(text)
    return text


def _threads(value: Any) -> int | None:
    return None if value is None else check_int(value, 1, MOST_THREADS)


Count = Annotated[int, integer(1, MOST_SAMPLES)]
"""A number of samples, one or more."""
Output = Annotated[
    Path,
    Option(
        "Directory for the results; created if it does not exist, refused if it is not empty.",
        names=("--output", "-o"),
    ),
]
Config = Annotated[Path | None, Option("TOML file of settings; command-line options override it.")]
Budget = Annotated[
    str,
    Check(_check_budget),
    Option(
        "Maximum wall-clock time of the run, such as 30s, 5m or 1h. The run ends earlier once it "
        "is accurate enough.",
        group=RUN,
    ),
]
"""Wall-clock time such as ``5m``; a bare number is seconds."""
Seed = Annotated[
    int,
    integer(0, 2**63 - 1),
    Option("Random seed; the same seed gives the same results.", group=RUN),
]
Threads = Annotated[
    int | None,
    Check(_threads),
    Option("Number of threads.", group=RUN, shown="all cores"),
]
"""Threads; None for all the cores that this process may use."""
Device = Annotated[
    Literal["auto", "cpu", "cuda"], Option("Device on which the network runs.", group=RUN)
]
"""Where a network runs; ``auto`` for CUDA where there is some."""
Tensorboard = Annotated[
    bool,
    Option(
        "Also write the training metrics for TensorBoard, to `tensorboard/` in the output "
        "directory.",
        group=RUN,
    ),
]
Resume = Annotated[bool, Option("Resume the run in the output directory from its last checkpoint.")]
Force = Annotated[bool, Option("Replace the run in the output directory.")]
Quiet = Annotated[bool, Option("Print warnings and errors only.", names=("--quiet", "-q"))]
