"""The settings of ``phylogfn sample`` and ``phylogfn parsimony``: their names, defaults and checks.

A setting has the same name in the configuration file (``branch_prior = "exp:10"``) and on the
command line (``--branch-prior exp:10``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, field_validator

from gfncore.program import configuration
from gfncore.program.configuration import Budget, Count, Device, RunSettings, Seed, Threads
from gfncore.text.numbers import NumberError, parse_float, parse_int, shortened
from phylogfn.output_names import OUTPUT_NAMES, PARSIMONY_OUTPUT_NAMES

__all__ = [
    "ParsimonySettings",
    "SampleSettings",
    "parse_branch_prior",
    "parse_length_bins",
    "read_config",
    "resolve_parsimony_settings",
    "resolve_settings",
]

COLDEST, HOTTEST = 0.05, 20.0  # temperatures, steps
MOST_BINS = 4096
LEAST_RATE, MOST_RATE = 1e-6, 1e6  # of the prior on branch lengths


def parse_branch_prior(text: str) -> float:
    """Return the rate of the exponential prior on branch lengths from text such as ``exp:10``.

    Raises
    ------
    ValueError
        Another prior, or a rate that is not a positive number.
    """
    kind, colon, value = text.strip().partition(":")
    try:
        rate = parse_float(value.strip(), LEAST_RATE, MOST_RATE)
    except NumberError:
        rate = 0.0
    if kind.lower() not in {"exp", "exponential"} or not colon or not rate:
        raise ValueError(
            f"'{shortened(text)}' is not a prior on branch lengths; write exp:RATE, such as exp:10 "
            f"(mean 0.1 expected substitutions per site), with a rate from {LEAST_RATE:g} to "
            f"{MOST_RATE:g}"
        )
    return rate


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


class SampleSettings(RunSettings):
    """Settings of ``phylogfn sample``."""

    COMMAND: ClassVar[str] = "phylogfn sample"
    POSITIONAL: ClassVar[Mapping[str, str]] = {"alignment": "ALIGNMENT"}
    MISSING: ClassVar[Mapping[str, str]] = {
        "alignment": "the alignment is missing; give its path (or - for standard input)"
    }

    alignment: str
    """Path of the alignment; ``-`` for standard input."""
    output: Path
    """Directory of the results."""
    model: str = "JC69"
    """Substitution model, such as ``HKY85+G4``."""
    branch_prior: str = "exp:10"
    """Prior on branch lengths."""
    samples: Count = 1000
    """Number of posterior draws written."""
    budget: Budget = "5m"
    """Maximum wall-clock time of the run."""
    environment: Literal["insertion", "merging"] = "insertion"
    """Construction method of trees."""
    backward_policy: Literal["uniform", "learned"] = "uniform"
    """(merging only) Backward policy over the construction histories of a topology."""
    branch_lengths: Literal["collapsed", "bins", "lognormal"] = "collapsed"
    """(merging only) Branch lengths integrated out, or drawn with the tree."""
    random_trees: bool = False
    """Whether the sampler also learns from trees built by random steps."""
    length_bins: str = "128:1e-5:2"
    """(bins only) Number of bins of branch lengths, and their smallest and largest edge."""
    seed: Seed = 1
    """Seed of all random numbers."""
    threads: Threads = None
    """Number of threads; None for all cores that this process may use."""
    device: Device = "auto"
    """Device on which the network runs."""
    tensorboard: bool = False
    """Whether training metrics are also written for TensorBoard."""
    data_type: Literal["dna", "rna", "protein"] | None = None
    """Type of the data; None: detected from the characters."""
    format: Literal["fasta", "phylip", "nexus", "clustal", "stockholm"] | None = None
    """File format of the alignment; None: detected from the content."""
    resume: bool = False
    force: bool = False
    quiet: bool = False

    @classmethod
    def result_names(cls) -> tuple[str, ...]:
        """Return the names that may appear in the output directory."""
        return OUTPUT_NAMES

    def input_paths(self) -> tuple[Path, ...]:
        """Return what may be files that the run reads."""
        return (Path(self.alignment),)

    @property
    def branch_rate(self) -> float:
        """Rate of the exponential prior on branch lengths; its mean is one over this."""
        return parse_branch_prior(self.branch_prior)

    @field_validator("branch_prior")
    @classmethod
    def _branch_prior(cls, value: str) -> str:
        parse_branch_prior(value)
        return value

    @field_validator("length_bins")
    @classmethod
    def _length_bins(cls, value: str) -> str:
        parse_length_bins(value)
        return value


def _split_temperatures(value: Any) -> Any:
    """Numbers, or text such as ``0.5,1``, alone or in a list."""
    parts = value if isinstance(value, list | tuple) else [value]
    texts = [piece for part in parts for piece in str(part).split(",")]
    try:
        return tuple(dict.fromkeys(parse_float(text.strip()) for text in texts))
    except ValueError:
        raise ValueError(
            f"'{shortened(','.join(texts))}' is not a list of temperatures; write numbers of "
            "steps, such as 0.5,1,2"
        ) from None


def _check_temperatures(values: tuple[float, ...]) -> tuple[float, ...]:
    for value in values:
        if not COLDEST <= value <= HOTTEST:
            raise ValueError(f"{value:g} is out of range; give {COLDEST:g} to {HOTTEST:g} steps")
    if not values:
        raise ValueError("no temperature is given; write one or more, such as 0.5,1,2")
    return tuple(sorted(values))


def _check_excess(value: float | None) -> float | None:
    if value is not None and not 0.0 <= value < math.inf:
        raise ValueError(f"{value:g} is out of range; give 0 steps or more")
    return value


Temperatures = Annotated[
    tuple[float, ...], BeforeValidator(_split_temperatures), AfterValidator(_check_temperatures)
]
"""Temperatures in steps, ascending, each once."""
Excess = Annotated[float | None, AfterValidator(_check_excess)]
"""Weighted steps above the best score."""


class ParsimonySettings(RunSettings):
    """Settings of ``phylogfn parsimony``."""

    COMMAND: ClassVar[str] = "phylogfn parsimony"
    POSITIONAL: ClassVar[Mapping[str, str]] = {"alignment": "ALIGNMENT"}
    CONTINUABLE: ClassVar[tuple[str, ...]] = (*RunSettings.CONTINUABLE, "temperature")
    MISSING: ClassVar[Mapping[str, str]] = SampleSettings.MISSING

    alignment: str
    """Path of the alignment; ``-`` for standard input."""
    output: Path
    """Directory of the results."""
    gaps: Literal["missing", "state"] = "missing"
    """Whether a gap is missing data or a state of its own."""
    temperature: Temperatures = (1.0,)
    """Sampling temperatures, in steps."""
    excess: Excess = None
    """Maximum number of steps above the best score of the trees collected; None: 2, or more while
    few trees are found."""
    samples: Count = 1000
    """Number of trees drawn at each temperature."""
    budget: Budget = "5m"
    """Maximum wall-clock time of the run."""
    environment: Literal["insertion", "merging"] = "insertion"
    """Construction method of trees."""
    seed: Seed = 1
    """Seed of all random numbers."""
    threads: Threads = None
    """Number of threads; None for all cores that this process may use."""
    device: Device = "auto"
    """Device on which the network runs."""
    tensorboard: bool = False
    """Whether training metrics are also written for TensorBoard."""
    data_type: Literal["dna", "rna", "protein", "standard"] | None = None
    """Type of the data; None: as declared in the file, or detected from the characters."""
    format: Literal["fasta", "phylip", "nexus", "clustal", "stockholm"] | None = None
    """File format of the alignment; None: detected from the content."""
    resume: bool = False
    force: bool = False
    quiet: bool = False

    @classmethod
    def result_names(cls) -> tuple[str, ...]:
        """Return the names that may appear in the output directory."""
        return PARSIMONY_OUTPUT_NAMES

    def input_paths(self) -> tuple[Path, ...]:
        """Return what may be files that the run reads."""
        return (Path(self.alignment),)


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
