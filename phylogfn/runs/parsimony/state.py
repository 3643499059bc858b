"""The state of a run of ``phylogfn parsimony`` between two checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gfncore.program.clock import RunClock
from gfncore.training.checkpoint import Checkpoint, save_checkpoint
from gfncore.training.trainer import Trainer
from phylogfn.environments.attachment_rates import AttachmentRates
from phylogfn.environments.join_rates import JoinRates
from phylogfn.parsimony.search import SearchFacts
from phylogfn.parsimony.table import ParsimonyTable
from phylogfn.runs.parsimony.pilots import Pilots
from phylogfn.runs.stored_arrays import check_parsimony_state

__all__ = ["ParsimonyState"]


@dataclass
class ParsimonyState:
    """All that a run has found so far.

    Attributes
    ----------
    table : ParsimonyTable
        Those of the search first, best first; then those that the sampler met.
    search : SearchFacts
    excess : float
        Steps above the best within which the search collected trees.
    n_scores : int
        Trees, and places for a subtree, scored.
    range : tuple of float
        Lowest and highest inverse temperature that the sampler is trained for.
    order : ndarray, optional
        Insertion order of the taxa.
    rates : AttachmentRates or JoinRates, optional
        That the policy starts from.
    projection : tuple of ndarray, optional
        Of the features of the merging environment; see `phylogfn.environments.forest_features`.
    trainer : Trainer, optional
    cycles : int
        Cycles of training done.
    pilots : Pilots, optional
        What the sampler met and is taught beside the trees of the search.
    judged : list of float
        Temperatures that the last cycle was judged by.
    accurate : bool
        They met the accuracy asked for.
    divergence : list of float
        KL from the known trees, their weights normalised to 1, to the sampler at them, nats.
    checksum : str
        `Alignment.sha256` of what the run began with.
    """

    table: ParsimonyTable
    search: SearchFacts
    excess: float
    n_scores: int
    range: tuple[float, float]
    order: np.ndarray | None = None
    rates: AttachmentRates | JoinRates | None = None
    projection: tuple[np.ndarray, np.ndarray] | None = None
    trainer: Trainer | None = None
    cycles: int = 0
    pilots: Pilots | None = None
    judged: list[float] | None = None
    accurate: bool = False
    divergence: list[float] | None = None
    checksum: str = ""

    @property
    def steps(self) -> int:
        """Steps of training done."""
        return self.trainer.step_number if self.trainer is not None else 0

    def save(self, directory: Path, clock: RunClock, origin: Mapping[str, Any]) -> None:
        """Write a checkpoint; ``clock`` and ``origin`` are those of the run."""
        arrays = {"table/parents": self.table.parents, "table/scores": self.table.scores}
        if self.order is not None:
            arrays["order"] = self.order
        if self.rates is not None:
            arrays |= {f"rates/{k}": v for k, v in self.rates.state().items()}
        if self.projection is not None:
            arrays["features/mean"], arrays["features/basis"] = self.projection
        if self.pilots is not None:
            arrays |= {f"pilots/{k}": v for k, v in self.pilots.state().items()}
        extra: dict[str, Any] = {
            "search": self.search.as_dict(),
            "excess": self.excess,
            "n_scores": self.n_scores,
            "range": list(self.range),
            "cycles": self.cycles,
            "judged": self.judged,
            "accurate": self.accurate,
            "divergence": self.divergence,
            "spent": clock.spent(),
            "checksum": self.checksum,
        }
        save_checkpoint(directory, self.trainer, extra, arrays, origin)

    @classmethod
    def restore(cls, saved: Checkpoint, n_taxa: int) -> ParsimonyState:
        """The saved state, without its trainer."""
        arrays, extra = saved.arrays, saved.extra
        check_parsimony_state(arrays, n_taxa, str(saved.directory))
        table = ParsimonyTable(n_taxa)
        table.add(arrays["table/parents"], arrays["table/scores"])

        def under(prefix: str) -> dict[str, np.ndarray]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        rates, pilots = under("rates/"), under("pilots/")
        kind = JoinRates if "weight" in rates else AttachmentRates
        projection = None
        if "features/mean" in arrays:
            projection = (arrays["features/mean"], arrays["features/basis"])
        return cls(
            table=table,
            search=SearchFacts(**extra["search"]),
            excess=extra["excess"],
            n_scores=extra["n_scores"],
            range=tuple(extra["range"]),
            order=arrays.get("order"),
            rates=kind.from_state(rates) if rates else None,
            projection=projection,
            cycles=extra["cycles"],
            pilots=Pilots.from_state(pilots) if pilots else None,
            judged=extra["judged"],
            accurate=extra["accurate"],
            divergence=extra["divergence"],
            checksum=extra["checksum"],
        )
