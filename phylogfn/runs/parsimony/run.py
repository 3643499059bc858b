"""One run of ``phylogfn parsimony``: settings, data and random numbers by purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phylogfn.alignments.characters import parsimony_characters
from phylogfn.parsimony.scores import ParsimonyScorer
from phylogfn.runs.alignment_run import AlignmentRun
from phylogfn.runs.parsimony.effort import ParsimonyEffort
from phylogfn.samplers.parsimony import PARSIMONY_SAMPLERS

if TYPE_CHECKING:
    from gfncore.program.progress import Progress
    from phylogfn.settings import ParsimonySettings

__all__ = ["ParsimonyRun"]

SEEDS = {
    "search": 1,
    "policy": 2,
    "training": 3,
    "pilot": 4,
    "draws": 5,
    "files": 6,
    "features": 7,
    "betas": 8,
    "divergence": 9,
}


class ParsimonyRun(AlignmentRun):
    """One run: the settings and the data.

    Parameters
    ----------
    settings : ParsimonySettings
    progress : Progress
    effort : ParsimonyEffort, optional
        How much is done. Default: that of the command line.

    Raises
    ------
    UserError
        The alignment or the device cannot be used.
    """

    SEEDS = SEEDS
    settings: ParsimonySettings

    def __init__(
        self,
        settings: ParsimonySettings,
        progress: Progress,
        effort: ParsimonyEffort | None = None,
    ):
        super().__init__(settings, progress)
        self.effort = ParsimonyEffort() if effort is None else effort
        self.characters = parsimony_characters(self.alignment, settings.gaps)
        self.sampler = PARSIMONY_SAMPLERS[settings.environment]()
        self.scorer = ParsimonyScorer(self.characters, settings.n_threads)
        for note in dict.fromkeys((*self.alignment.notes, *self.characters.notes)):
            self.warn(note)

    @property
    def n_taxa(self) -> int:
        """Taxa of the alignment."""
        return self.alignment.n_taxa

    @property
    def betas(self) -> np.ndarray:
        """Inverse temperatures asked for, float64 (K,)."""
        return 1.0 / np.array(self.settings.temperature)

    def fewer(self, number: int, fewest: int) -> int:
        """A number of draws for many taxa: each costs as the square of the taxa."""
        return max(fewest, min(number, round(number * (self.effort.easy_taxa / self.n_taxa) ** 2)))
