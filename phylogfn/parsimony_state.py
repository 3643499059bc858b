"""The state of a run of ``phylogfn parsimony`` between two checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from gfncore.checkpoint import Checkpoint, save_checkpoint
from gfncore.training import Trainer
from phylogfn.attachment_rates import AttachmentRates
from phylogfn.join_rates import JoinRates
from phylogfn.parsimony_learning import WeightedTrees
from phylogfn.parsimony_search import SearchResult
from phylogfn.parsimony_trees import ParsimonyTable

__all__ = ["ParsimonyState", "SearchFacts"]


@dataclass(frozen=True)
class SearchFacts:
    """A `SearchResult` without its trees.

    Attributes
    ----------
    best_score, runs, hits, all_best, all_near, capped, out_of_time
        See `phylogfn.parsimony_search.SearchResult`.
    n_trees : int
        Trees that the search found.
    """

    best_score: float
    runs: int
    hits: int
    all_best: bool
    all_near: bool
    capped: bool
    out_of_time: bool
    n_trees: int

    @classmethod
    def of(cls, result: SearchResult) -> SearchFacts:
        """The facts of a result."""
        names = [field.name for field in fields(cls) if field.name != "n_trees"]
        return cls(**{name: getattr(result, name) for name in names}, n_trees=len(result.table))

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass
class ParsimonyState:
    """All that a run has found so far.

    Attributes
    ----------
    table : ParsimonyTable
        Those of the search first, best first; then those that the sampler met.
    search : SearchFacts
    n_scores : int
        Trees, and places for a subtree, scored.
    range : tuple of float
        Lowest and highest inverse temperature that the sampler is trained for.
    order : ndarray, optional
        Insertion order of the taxa.
    rates : AttachmentRates or JoinRates, optional
        That the policy starts from.
    projection : tuple of ndarray, optional
        Of the features of the merging environment; see `phylogfn.forest_features`.
    trainer : Trainer, optional
    cycles : int
        Cycles of training done.
    taught : WeightedTrees, optional
        What the next cycle teaches; None: the table.
    log_z : list of float
        Log sum over all trees at the temperatures of `taught`, as it was estimated.
    judged : list of float
        Temperatures that the last cycle was judged by.
    accurate : bool
        They met the accuracy asked for.
    divergence : list of float
        KL from the known trees to the sampler at them, nats.
    seconds : float
        Wall-clock time of earlier sessions of the run.
    """

    table: ParsimonyTable
    search: SearchFacts
    n_scores: int
    range: tuple[float, float]
    order: np.ndarray | None = None
    rates: AttachmentRates | JoinRates | None = None
    projection: tuple[np.ndarray, np.ndarray] | None = None
    trainer: Trainer | None = None
    cycles: int = 0
    taught: WeightedTrees | None = None
    log_z: list[float] | None = None
    judged: list[float] | None = None
    accurate: bool = False
    divergence: list[float] | None = None
    seconds: float = 0.0

    def save(self, directory: Path, seconds: float) -> None:
        """Write a checkpoint; ``seconds`` is the time of this session so far."""
        arrays = {"table/parents": self.table.parents, "table/scores": self.table.scores}
        if self.order is not None:
            arrays["order"] = self.order
        if self.rates is not None:
            arrays |= {f"rates/{k}": v for k, v in self.rates.state().items()}
        if self.projection is not None:
            arrays["features/mean"], arrays["features/basis"] = self.projection
        if self.taught is not None:
            arrays |= {
                f"taught/{name}": getattr(self.taught, name)
                for name in ("parents", "betas", "weights")
            }
        extra: dict[str, Any] = {
            "search": self.search.as_dict(),
            "n_scores": self.n_scores,
            "range": list(self.range),
            "cycles": self.cycles,
            "log_z": self.log_z,
            "judged": self.judged,
            "accurate": self.accurate,
            "divergence": self.divergence,
            "seconds": self.seconds + seconds,
        }
        save_checkpoint(directory, self.trainer, extra, arrays)

    @classmethod
    def restore(cls, saved: Checkpoint, n_taxa: int) -> ParsimonyState:
        """The saved state, without its trainer."""
        arrays, extra = saved.arrays, saved.extra
        table = ParsimonyTable(n_taxa)
        table.add(arrays["table/parents"], arrays["table/scores"])
        rates = {k.removeprefix("rates/"): v for k, v in arrays.items() if k.startswith("rates/")}
        kind = JoinRates if "weight" in rates else AttachmentRates
        taught = None
        if "taught/parents" in arrays:
            taught = WeightedTrees(
                arrays["taught/parents"], arrays["taught/betas"], arrays["taught/weights"]
            )
        projection = None
        if "features/mean" in arrays:
            projection = (arrays["features/mean"], arrays["features/basis"])
        return cls(
            table=table,
            search=SearchFacts(**extra["search"]),
            n_scores=extra["n_scores"],
            range=tuple(extra["range"]),
            order=arrays.get("order"),
            rates=kind.from_state(rates) if rates else None,
            projection=projection,
            cycles=extra["cycles"],
            taught=taught,
            log_z=extra["log_z"],
            judged=extra["judged"],
            accurate=extra["accurate"],
            divergence=extra["divergence"],
            seconds=extra["seconds"],
        )
