"""Options that several commands have, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from gfncore.objectives.registry import OBJECTIVES, reward_objectives

__all__ = [
    "SCORE",
    "SPACE",
    "RUN",
    "Config",
    "Core",
    "Device",
    "Elements",
    "FragmentFile",
    "Objective",
    "Output",
    "Reward",
    "RingSizes",
    "Seed",
    "Threads",
    "said",
]

SCORE = Group("Score", sort_key=1)
SPACE = Group("Molecules", sort_key=2)
RUN = Group("Run", sort_key=3)

Output = Annotated[Path, Parameter(name=["--output", "-o"])]
Reward = Annotated[str | None, Parameter(group=SCORE, show_default="qed")]
Config = Annotated[Path | None, Parameter(group=SCORE)]
Elements = Annotated[str | None, Parameter(group=SPACE, show_default="C,N,O,F,S,Cl")]
RingSizes = Annotated[str | None, Parameter(group=SPACE, show_default="5,6")]
FragmentFile = Annotated[str | None, Parameter(group=SPACE, show_default="those of molgen")]
Core = Annotated[str | None, Parameter(group=SPACE, allow_leading_hyphen=True)]
ObjectiveName = str if TYPE_CHECKING else Literal[reward_objectives()]
Objective = Annotated[
    ObjectiveName | None,
    Parameter(
        group=RUN,
        show_default="log_variance",
        help="Training objective (loss). "
        + "; ".join(f"{name}: {OBJECTIVES[name].description}" for name in reward_objectives())
        + ".",
    ),
]
Seed = Annotated[int | None, Parameter(group=RUN, show_default="1")]
Threads = Annotated[int | None, Parameter(group=RUN, show_default="all cores")]
Device = Annotated[Literal["auto", "cpu", "cuda"] | None, Parameter(group=RUN, show_default="auto")]


def said(given: dict[str, Any]) -> dict[str, Any]:
    """Return what the command line says of settings: all but the file of them."""
    return {key: value for key, value in given.items() if key != "config"}
