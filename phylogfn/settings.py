"""The settings of ``phylogfn sample``: one place for their names, defaults and checks.

A setting has the same name in the configuration file (``branch_prior = "exp:10"``) and on the
command line (``--branch-prior exp:10``).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

__all__ = [
    "CONTINUABLE",
    "NOT_CONFIGURED",
    "SampleSettings",
    "parse_branch_prior",
    "parse_duration",
]

NOT_CONFIGURED = ("output", "resume", "force", "quiet")
"""Settings of one call, which a configuration file does not hold."""

CONTINUABLE = ("budget", "samples", "threads", "device", "quiet", "output", "resume", "force")
"""Settings that may change when a run is resumed."""

_UNIT_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float:
    """Return seconds from text such as ``30s``, ``5m``, ``1h``, ``1h30m``, ``90``.

    Raises
    ------
    ValueError
        The text is no duration, or not above zero.
    """
    compact = text.strip().lower().replace(" ", "")
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(f"'{text}' is not a duration; write 30s, 5m or 1h")
    if len(parts) > 1 and any(not unit for _, unit in parts):
        raise ValueError(f"'{text}' is not a duration: a number lacks its unit; write 1h30m")
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if seconds <= 0:
        raise ValueError(f"'{text}' is not a duration above zero")
    return seconds


def parse_branch_prior(text: str) -> float:
    """Return the rate of the exponential prior on branch lengths from text such as ``exp:10``.

    Raises
    ------
    ValueError
        Another prior, or a rate that is no positive number.
    """
    kind, colon, value = text.strip().partition(":")
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    if kind.lower() not in {"exp", "exponential"} or not colon or not 0 < rate < float("inf"):
        raise ValueError(
            f"'{text}' is not a prior on branch lengths; write exp:RATE, such as exp:10 "
            "(mean 0.1 expected substitutions per site)"
        )
    return rate


class SampleSettings(BaseModel):
    """Settings of ``phylogfn sample``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alignment: str
    """Path of the alignment; ``-`` for standard input."""
    output: Path
    """Directory of the results."""
    model: str = "JC69"
    """Substitution model, such as ``HKY85+G4``."""
    branch_prior: str = "exp:10"
    """Prior on branch lengths."""
    samples: int = 1000
    """Posterior draws written."""
    budget: str = "5m"
    """Wall-clock time for search and training."""
    environment: Literal["insertion"] = "insertion"
    """How trees are built."""
    seed: int = 1
    """Seed of all random numbers."""
    threads: int | None = None
    """Threads; None for all the cores that this process may use."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs."""
    data_type: Literal["dna", "rna", "protein"] | None = None
    """None: found from the characters."""
    format: Literal["fasta", "phylip", "nexus", "clustal", "stockholm"] | None = None
    """File format of the alignment; None: found from the content."""
    resume: bool = False
    force: bool = False
    quiet: bool = False

    @property
    def budget_seconds(self) -> float:
        """The budget in seconds."""
        return parse_duration(self.budget)

    @property
    def branch_rate(self) -> float:
        """Rate of the exponential prior on branch lengths; its mean is one over this."""
        return parse_branch_prior(self.branch_prior)

    @property
    def n_threads(self) -> int:
        """Number of threads, resolved."""
        return self.threads if self.threads is not None else _available_cores()

    def configured(self) -> dict[str, Any]:
        """Return the settings that ``run.toml`` holds, None left out."""
        values = self.model_dump(mode="json", exclude=set(NOT_CONFIGURED))
        return {key: value for key, value in values.items() if value is not None}

    @field_validator("budget", mode="before")
    @classmethod
    def _budget(cls, value: Any) -> str:
        text = str(value) if isinstance(value, int | float) else value
        if not isinstance(text, str):
            raise ValueError("write 30s, 5m or 1h")
        parse_duration(text)
        return text

    @field_validator("branch_prior")
    @classmethod
    def _branch_prior(cls, value: str) -> str:
        parse_branch_prior(value)
        return value

    @field_validator("samples")
    @classmethod
    def _samples(cls, value: int) -> int:
        if value < 1:
            raise ValueError(f"{value} samples cannot be drawn; give 1 or more")
        return value

    @field_validator("seed")
    @classmethod
    def _seed(cls, value: int) -> int:
        if not 0 <= value < 2**63:
            raise ValueError(f"{value} is no seed; give a whole number from 0 to 2^63 - 1")
        return value

    @field_validator("threads")
    @classmethod
    def _threads(cls, value: int | None) -> int | None:
        if value is not None and value < 1:
            raise ValueError(f"{value} threads cannot work; give 1 or more")
        return value


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
