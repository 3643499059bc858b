"""The settings of ``phylogfn sample`` and ``phylogfn parsimony``: their options, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import field_validator, model_validator

from gfncore.objectives.registry import reward_objectives
from gfncore.program import configuration
from gfncore.program.configuration import RunSettings
from gfncore.program.objectives import check_lambda, check_offered, settings_with_options
from gfncore.text.numbers import parse_float, parse_int, shortened
from phylogfn.alignments.partitions.codons import parse_codon_positions
from phylogfn.likelihood.branch_prior import BranchPrior, parse_branch_prior
from phylogfn.options import ParsimonyOptions, SampleOptions
from phylogfn.output_names import OUTPUT_NAMES, PARSIMONY_OUTPUT_NAMES
from phylogfn.sequences.named_clades import CONSENSUS

__all__ = [
    "ParsimonySettings",
    "SampleSettings",
    "parse_length_bins",
    "read_config",
    "resolve_parsimony_settings",
    "resolve_settings",
]

MOST_BINS = 4096


def parse_length_bins(text: str) -> tuple[int, float, float]:
    """Return number of bins, smallest and largest edge from text such as ``128:1e-5:2``.

    Raises
    ------
    ValueError
        The text does not describe bins.
    """
    parts = text.split(":")
    try:
        count = parse_int(parts[0], 2, MOST_BINS)
        low, high = (parse_float(part, above=0.0) for part in parts[1:])
    except ValueError:  # which a NumberError is, and what a wrong number of parts raises
        count, low, high = 0, 0.0, 0.0
    if not 0.0 < low < high:
        raise ValueError(
            f"'{shortened(text)}' is not a set of branch-length bins; write "
            f"NUMBER:SMALLEST:LARGEST, such as 128:1e-5:2, with 2 to {MOST_BINS} bins"
        )
    return count, low, high


class SampleSettings(SampleOptions, RunSettings):
    """Settings of ``phylogfn sample``."""

    COMMAND: ClassVar[str] = "phylogfn sample"
    CONTINUABLE: ClassVar[tuple[str, ...]] = (
        *RunSettings.CONTINUABLE,
        "ancestral",
        "outgroup",
        "predictive",
        "runs",
    )
    BEFORE: ClassVar[Mapping[str, Any]] = {"runs": 1}
    PLACES: ClassVar[tuple[str, ...]] = (*RunSettings.PLACES, "constraint", "partitions")
    MISSING: ClassVar[Mapping[str, str]] = {
        "alignment": "the alignment is missing; give its path (or - for standard input)"
    }

    @classmethod
    def result_names(cls) -> tuple[str, ...]:
        """Return the names that may appear in the output directory."""
        return OUTPUT_NAMES

    def input_paths(self) -> tuple[Path, ...]:
        """Return what may be files that the run reads."""
        named = self.ancestral is not None and self.ancestral != CONSENSUS
        further = [self.ancestral if named else None, self.constraint]
        if self.partitions is not None and Path(self.partitions).is_file():
            further.append(self.partitions)
        return (Path(self.alignment), *(Path(name) for name in further if name is not None))

    @field_validator("branch_prior", mode="before")
    @classmethod
    def _branch_prior(cls, value: Any) -> Any:
        text = value.name if isinstance(value, BranchPrior) else value
        if isinstance(text, str):
            parse_branch_prior(text)
        return text

    @field_validator("codon_positions")
    @classmethod
    def _codon_positions(cls, value: str | None) -> str | None:
        if value is not None:
            parse_codon_positions(value)
        return value

    @model_validator(mode="before")
    @classmethod
    def _resolve_objective_options(cls, values: Any) -> Any:
        """Set the options of the objective, and refuse those of others."""
        if not isinstance(values, dict):
            return values
        return settings_with_options(values, ("sub_trajectory_lambda",))

    @field_validator("objective")
    @classmethod
    def _objective(cls, value: str) -> str:
        check_offered(value, reward_objectives(orders=False))
        return value

    @field_validator("sub_trajectory_lambda")
    @classmethod
    def _sub_trajectory_lambda(cls, value: float | None) -> float | None:
        check_lambda(value)
        return value

    @field_validator("length_bins")
    @classmethod
    def _length_bins(cls, value: str) -> str:
        parse_length_bins(value)
        return value


class ParsimonySettings(ParsimonyOptions, RunSettings):
    """Settings of ``phylogfn parsimony``."""

    COMMAND: ClassVar[str] = "phylogfn parsimony"
    CONTINUABLE: ClassVar[tuple[str, ...]] = (
        *RunSettings.CONTINUABLE,
        "outgroup",
        "temperature",
    )
    MISSING: ClassVar[Mapping[str, str]] = SampleSettings.MISSING

    @classmethod
    def result_names(cls) -> tuple[str, ...]:
        """Return the names that may appear in the output directory."""
        return PARSIMONY_OUTPUT_NAMES

    def input_paths(self) -> tuple[Path, ...]:
        """Return what may be files that the run reads."""
        return (Path(self.alignment),)

    @field_validator("excess")
    @classmethod
    def _excess(cls, value: float | None) -> float | None:
        if value is not None and not 0.0 <= value < math.inf:
            raise ValueError(f"{value:g} is out of range; give 0 steps or more")
        return value


def resolve_settings(given: Mapping[str, Any], config: Path | None = None) -> SampleSettings:
    """Return the settings of a run; see :func:`gfncore.program.configuration.resolve_settings`."""
    return configuration.resolve_settings(SampleSettings, given, config)


def resolve_parsimony_settings(
    given: Mapping[str, Any], config: Path | None = None
) -> ParsimonySettings:
    """Return the settings of a run of ``phylogfn parsimony``; see :func:`resolve_settings`."""
    return configuration.resolve_settings(ParsimonySettings, given, config)


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings of a file; see :func:`gfncore.program.configuration.read_config`."""
    return configuration.read_config(SampleSettings, path)
