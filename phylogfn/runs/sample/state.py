"""The state of a run of ``phylogfn sample`` between two checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gfncore.program.clock import RunClock
from gfncore.training.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from gfncore.training.trainer import Trainer
from phylogfn.environments.attachment_rates import AttachmentRates
from phylogfn.environments.join_rates import JoinRates
from phylogfn.environments.length_rates import LengthRates
from phylogfn.exploration.agreement import SearchAgreement
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.exploration.walks import N_REPLICAS, Walkers
from phylogfn.likelihood.collapsed import CollapsedReward
from phylogfn.runs.stored_arrays import check_sample_state

__all__ = ["RunState", "read_state"]


@dataclass
class RunState:
    """All that a run has found so far.

    Attributes
    ----------
    table : TopologyTable
    walkers : Walkers
    theta : ndarray
        Free parameters of the model, unconstrained.
    blocks : int
        Rounds of blocks of the first walk.
    settled : bool
        The first walk hardly found anything new any more.
    agreement : SearchAgreement, optional
        Of the two searches, when they were last compared.
    log_mass : list of float
        Log sum of the table's evidence after each batch of blocks.
    order : ndarray, optional
        Insertion order of the taxa; None before training.
    rates : AttachmentRates or JoinRates, optional
        That the policy starts from.
    trainer : Trainer, optional
    cycles : int
        Cycles of training done.
    known_share : float
        Share of the evidence that the table held at the last estimate.
    log_z : float
        Log evidence at the last estimate: closed form, without the prior of topologies.
    missed, missed_error : float
        Divergence from the known topologies to the sampler at the last estimate, and its standard
        error, nats; see `gfncore.evaluation.known_divergence`.
    accurate : bool
        The last estimate met the accuracy asked for.
    projected_error : float
        Standard error of the log evidence that the sampler of the last estimate would have with
        the most draws. Not in checkpoints.
    log_correction : float
        First estimate of the correction of the closed form, for the display.
    branch_length : float, optional
        Of the features of the merging environment, expected substitutions per site.
    projection : tuple of ndarray, optional
        The same's; see `phylogfn.environments.forest_features`.
    length_rates : LengthRates, optional
        That densities of lengths start from, where trees are built with lengths.
    checksum : str
        `Alignment.sha256` of what the run began with.
    constraint_checksum : str
        `Constraints.checksum` of what the run began with; empty if it has no constraints.
    draws_from_prior : bool
        Topologies are drawn from the prior, not by the sampler. Not in checkpoints: it is in the
        data.
    """

    table: TopologyTable
    walkers: Walkers
    theta: np.ndarray
    blocks: int = 0
    settled: bool = False
    agreement: SearchAgreement | None = None
    log_mass: list[float] = field(default_factory=list)
    order: np.ndarray | None = None
    rates: AttachmentRates | JoinRates | None = None
    trainer: Trainer | None = None
    cycles: int = 0
    known_share: float = 0.0
    log_z: float = 0.0
    missed: float = float("inf")
    missed_error: float = 0.0
    accurate: bool = False
    log_correction: float = 0.0
    branch_length: float | None = None
    projection: tuple[np.ndarray, np.ndarray] | None = None
    length_rates: LengthRates | None = None
    checksum: str = ""
    constraint_checksum: str = ""
    draws_from_prior: bool = False
    projected_error: float = float("inf")

    @property
    def steps(self) -> int:
        """Steps of training done."""
        return self.trainer.step_number if self.trainer is not None else 0

    def save(self, directory: Path, clock: RunClock, origin: Mapping[str, Any]) -> None:
        """Write a checkpoint; ``clock`` and ``origin`` are those of the run."""
        arrays = {f"table/{k}": v for k, v in self.table.state().items()}
        arrays |= {f"walkers/{k}": v for k, v in self.walkers.state().items()}
        arrays["theta"] = self.theta
        if self.order is not None:
            arrays["order"] = self.order
        if self.rates is not None:
            arrays |= {f"rates/{k}": v for k, v in self.rates.state().items()}
        if self.length_rates is not None:
            arrays |= {f"length_rates/{k}": v for k, v in self.length_rates.state().items()}
        if self.projection is not None:
            arrays["features/mean"], arrays["features/basis"] = self.projection
        extra: dict[str, Any] = {
            "walk_generator": self.walkers.rng.bit_generator.state,
            "walk_steps": self.walkers.steps,
            "evaluations": self.walkers.reward.evaluations,
            "blocks": self.blocks,
            "settled": self.settled,
            "agreement": None if self.agreement is None else asdict(self.agreement),
            "log_mass": self.log_mass,
            "cycles": self.cycles,
            "known_share": self.known_share,
            "log_z": self.log_z,
            "missed": self.missed,
            "missed_error": self.missed_error,
            "accurate": self.accurate,
            "log_correction": self.log_correction,
            "spent": clock.spent(),
            "branch_length": self.branch_length,
            "checksum": self.checksum,
            "constraint_checksum": self.constraint_checksum,
        }
        save_checkpoint(directory, self.trainer, extra, arrays, origin)

    @classmethod
    def restore(cls, saved: Checkpoint, reward: CollapsedReward) -> RunState:
        """The saved state, without its trainer."""
        arrays, extra = saved.arrays, saved.extra
        n_taxa, place = reward.likelihood.n_taxa, str(saved.directory)
        check_sample_state(arrays, n_taxa, N_REPLICAS, place)

        def under(prefix: str) -> dict[str, np.ndarray]:
            start = prefix + "/"
            return {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}

        rng = np.random.default_rng()
        rng.bit_generator.state = extra["walk_generator"]
        replicas = Walkers.replicas_of_state(under("walkers"))
        walkers = Walkers(reward, replicas, rng)
        walkers.steps = extra["walk_steps"]
        walkers.ends = under("walkers")["ends"].tolist()
        reward.evaluations = extra["evaluations"]
        return cls(
            TopologyTable.from_state(reward.likelihood.n_taxa, under("table")),
            walkers,
            arrays["theta"],
            extra["blocks"],
            extra["settled"],
            SearchAgreement(**extra["agreement"]) if extra["agreement"] else None,
            extra["log_mass"],
            arrays.get("order"),
            _rates(under("rates")),
            None,
            extra["cycles"],
            extra["known_share"],
            extra["log_z"],
            extra["missed"],
            extra["missed_error"],
            extra["accurate"],
            extra["log_correction"],
            extra["branch_length"],
            (arrays["features/mean"], arrays["features/basis"])
            if "features/mean" in arrays
            else None,
            LengthRates.from_state(length_rates)
            if (length_rates := under("length_rates"))
            else None,
            extra["checksum"],
            extra.get("constraint_checksum", ""),
        )


def _rates(arrays: dict[str, np.ndarray]) -> AttachmentRates | JoinRates | None:
    """The rates that a checkpoint has, of the kind that it has."""
    if not arrays:
        return None
    kind = JoinRates if "weight" in arrays else AttachmentRates
    return kind.from_state(arrays)


def read_state(directory: Path, origin: Mapping[str, Any] | None = None) -> Checkpoint | None:
    """The checkpoint of an output directory; None if the run was interrupted before its first.

    ``origin`` is what it must come from; see `gfncore.training.checkpoint.read_checkpoint`.
    """
    if not (directory / "checkpoint.json").exists():
        return None
    return read_checkpoint(directory, origin)
