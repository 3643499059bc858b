"""The training objective as an option of a program, and the options that belong to one objective.

Like `gfncore.program.options`, this imports neither pydantic nor torch.
"""

# Annotations are objects here, not texts, which early pydantic 2 would look up in another module.
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from gfncore.backward.registry import BACKWARD_POLICIES
from gfncore.objectives.options import ObjectiveOptions
from gfncore.objectives.registry import OBJECTIVES, find_objective, objectives_with
from gfncore.program.options import RUN, Option
from gfncore.text.numbers import shortened

__all__ = [
    "SubTrajectoryLambda",
    "backward_option",
    "check_lambda",
    "check_offered",
    "objective_option",
    "options_of_objective",
    "settings_with_options",
]

SubTrajectoryLambda = Annotated[
    float | None,
    Option(
        "(sub_trajectory_balance only) lambda: parts of k steps have the weight lambda^k, so that "
        "small values balance single steps, large ones whole trajectories.",
        group=RUN,
        shown="0.9",
    ),
]


def objective_option(offered: tuple[str, ...], text: str) -> Any:
    """Return the description of the option ``objective``: a text, then each objective's purpose.

    Parameters
    ----------
    offered : tuple of str
        The objectives that the program offers.
    text : str
    """
    purposes = "; ".join(f"{name}: {OBJECTIVES[name].description}" for name in offered)
    words = str if TYPE_CHECKING else Literal[tuple(offered)]
    return Option(f"{text} {purposes}.", group=RUN, words=words)


def backward_option(text: str) -> Any:
    """Return the description of the option ``backward_policy``: a text, then each one's purpose."""
    purposes = "; ".join(
        f"{name}: {entry.description}" for name, entry in BACKWARD_POLICIES.items()
    )
    return Option(f"{text} {purposes}.", group=RUN)


def options_of_objective(settings: Any) -> dict[str, Any]:
    """Return the options that the objective of settings reads, for `make_objective`."""
    return {name: getattr(settings, name) for name in find_objective(settings.objective).options}


def settings_with_options(values: Mapping[str, Any], options: tuple[str, ...]) -> dict[str, Any]:
    """Return settings with the default of each option that their objective reads.

    Parameters
    ----------
    values : mapping
        Settings by name, ``objective`` among them.
    options : tuple of str
        The options of objectives that a program offers.

    Raises
    ------
    ValueError
        If an option is given that the objective does not read.
    """
    settings = dict(values)
    for option in options:
        readers = objectives_with(option)
        if settings.get("objective") in readers:
            if settings.get(option) is None:
                settings[option] = getattr(ObjectiveOptions(), option)
        elif settings.get(option) is not None:
            raise ValueError(
                f"--{option.replace('_', '-')} belongs to --objective {' or '.join(readers)}; "
                "leave it out, or give that objective"
            )
    return settings


def check_offered(name: str, offered: tuple[str, ...]) -> None:
    """Refuse an objective that a program does not offer.

    Raises
    ------
    ValueError
        The message lists those that it offers.
    """
    if name in offered:
        return
    entry = OBJECTIVES.get(name)
    why = f" (it needs {entry.needs})" if entry is not None and entry.needs else ""
    raise ValueError(
        f"{shortened(repr(name))} is not offered{why}; choose "
        f"{', '.join(map(repr, offered[:-1]))} or {offered[-1]!r}"
    )


def check_lambda(value: float | None) -> None:
    """Refuse a lambda of sub-trajectory balance that is not a positive number (ValueError)."""
    if value is not None and not 0.0 < value < math.inf:
        raise ValueError(f"{value} is out of range; give a number above 0, such as 0.9")
