"""What all runs on an alignment have in common."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gfncore.errors import UserError
from gfncore.program.devices import choose_device
from gfncore.program.messages import Note
from gfncore.program.provenance import Provenance, ResourceUse, command_line, record_provenance
from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.partitions.choice import PartitionChoice
from phylogfn.errors import quoted_list
from phylogfn.trees.rooting import outgroup_names

if TYPE_CHECKING:
    from gfncore.program.progress import Progress

__all__ = ["MOST_TAXA", "AlignmentRun"]

MOST_TAXA = 16_383
"""Maximum number of taxa: nodes of trees that are kept, up to 2n, are numbered by 16 bits."""


class AlignmentRun:
    """The settings, the alignment, and what the user was told.

    Parameters
    ----------
    settings : RunSettings
        Of a command that takes an alignment.
    progress : Progress
    command : str, optional
        How the run was started. Default: the command line of this process.

    Raises
    ------
    UserError
        The alignment or the device cannot be used.
    """

    SEEDS: ClassVar[Mapping[str, int]] = {}
    """A number for each purpose of random numbers."""
    number: int | None
    """Which of several runs this is, from 1; None if there is one."""

    def __init__(self, settings: Any, progress: Progress, command: str | None = None):
        self.settings = settings
        self.command = command_line() if command is None else command
        self.progress = progress
        self.clock = progress.clock
        self.number: int | None = None
        self.warnings: list[Note] = []
        if settings.threads_note:
            self.warn(settings.threads_note)
        self.device = choose_device(settings.device)
        self.alignment = read_alignment(
            settings.alignment,
            data_type=settings.data_type,
            file_format=settings.format,
            choice=self.partition_choice(),
        )
        if self.alignment.n_taxa > MOST_TAXA:
            raise UserError(
                f"{self.alignment.source}: {self.alignment.n_taxa:,} taxa are too many; the "
                f"maximum is {MOST_TAXA:,}: remove some"
            )
        given, declared = settings.outgroup, self.alignment.outgroup
        self.outgroup = outgroup_names(given, self.alignment.names, declared)
        if declared and not given:
            progress.note(
                f"trees are rooted at the outgroup of {self.alignment.source} "
                f"({quoted_list(list(declared))}); --outgroup overrides it"
            )
        self.checkpoint = Path(settings.output) / "checkpoint"
        self.checksum = self.alignment.sha256()

    def partition_choice(self) -> PartitionChoice | None:
        """Return how the columns are divided; None: they are of one type and not divided."""
        return None

    def check_same_alignment(self, checksum: str) -> None:
        """Refuse to go on with another alignment than the run began with.

        Parameters
        ----------
        checksum : str
            `Alignment.sha256` of it then.

        Raises
        ------
        UserError
            Its names or characters have changed.
        """
        if checksum != self.checksum:
            raise UserError(
                f"{self.alignment.source}: differs from the alignment with which the run in "
                f"{self.settings.output} started; restore that alignment, or start a new run"
            )

    def warn(self, warning: Note) -> None:
        """Tell the user now, and in the summary."""
        self.warnings.append(warning)
        self.progress.warn(warning if self.number is None else f"run {self.number}: {warning}")

    def phase(self, name: str) -> None:
        """Show that a phase begins."""
        self.progress.phase(name if self.number is None else f"run {self.number}: {name}")

    def warn_of_clock(self, phase: str) -> None:
        """Warn, once, that the clock shortened a phase, on which the results then depend."""
        warning = Note(
            "phase-time-limit",
            f"{phase} reached its time limit within the budget of {self.settings.budget}; "
            "results of the same seed may differ between machines",
        )
        if warning not in self.warnings:
            self.warn(warning)

    def rng(self, purpose: str, *more: int) -> np.random.Generator:
        """A generator of its own for each purpose; those of several runs are independent."""
        entropy = [self.settings.seed, self.SEEDS[purpose], *more]
        further = () if self.number in (None, 1) else (self.number,)
        return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=further))

    def provenance(self, use: ResourceUse) -> Provenance:
        """Where the results come from."""
        settings = self.settings
        return record_provenance(
            "phylogfn",
            parameters=settings.configured(),
            seed=settings.seed,
            threads=settings.n_threads,
            device=self.device,
            inputs=(settings.alignment, *map(str, settings.input_paths()[1:])),
            command=self.command,
            use=use,
        )

    def seconds(self, state: object = None) -> float:
        """Seconds of the budget that the run has used, earlier sessions included."""
        return self.clock.seconds()

    def left(self, share: float, state: object = None) -> float:
        """Seconds, 0 or more, until a share of the budget is used up."""
        return max(0.0, share * self.settings.budget_seconds - self.seconds(state))

    def past(self, share: float, state: object = None) -> bool:
        """Whether a share of the budget is used up."""
        return self.seconds(state) > share * self.settings.budget_seconds
