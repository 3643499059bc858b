"""What the training and the answer of ``molgen sample`` have in common: the run and its state."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gfncore.backward.registry import make_backward_policy
from gfncore.errors import UserError
from gfncore.exploration.walkers import Walkers
from gfncore.objectives.base import make_objective
from gfncore.objectives.registry import reward_objectives
from gfncore.program.devices import choose_device
from gfncore.program.messages import Note
from gfncore.program.objectives import options_of_objective
from gfncore.program.provenance import command_line, file_sha256
from gfncore.tempering import TemperedEnvironment
from gfncore.training.checkpoint import Checkpoint, restore_trainer, save_checkpoint
from gfncore.training.replay import Replay, TemperedReplay
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from molgen.environments.base import MoleculeEnvironment
from molgen.environments.making import make_environment
from molgen.environments.tempered import TemperedMolecules
from molgen.policy import make_policy
from molgen.reward import Reward
from molgen.runs.sample.effort import SampleEffort
from molgen.runs.sample.exponents import ExponentRange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import ThreadPoolExecutor

    from gfncore.policies import Policy
    from gfncore.program.progress import Progress
    from gfncore.training.distributed import Processes
    from molgen.settings import SampleSettings

__all__ = ["RunState", "SampleRun"]

LEARNING_RATE = 2e-3  # of Muon
LOG_Z_LEARNING_RATE = 0.3
EPSILON = 0.02  # share of uniform choices in the training draws
AVERAGE_DECAY = 0.99
CLIP_NORM = 5.0
REPLAY_CAPACITY = 20_000
SEEDS = {
    "policy": 1,
    "training": 2,
    "pilot": 3,
    "draws": 4,
    "probabilities": 5,
    "selection": 6,
    "control": 7,
}


@dataclass
class RunState:
    """Where a run stands.

    Attributes
    ----------
    blocks : int
        Blocks of training done.
    in_block : int
        Steps done of the block that has been begun.
    accurate : bool
        The last pilot met the accuracy aimed for.
    ess_share : float
        Effective share of the last pilot's draws; NaN before the first.
    warnings : list of Note
        Warnings that hold whatever comes.
    """

    blocks: int = 0
    in_block: int = 0
    accurate: bool = False
    ess_share: float = math.nan
    warnings: list[Note] = field(default_factory=list)


class SampleRun:
    """One run: the settings, the score, the environment, the trainer.

    Parameters
    ----------
    settings : SampleSettings
    progress : Progress
    pool : ThreadPoolExecutor
        Of the network's threads.
    processes : Processes, optional
        Where torchrun started several.
    command : str, optional
        How the run was started. Default: the command line of this process.
    effort : SampleEffort, optional
        How much is done. Default: that of the command line.

    Raises
    ------
    UserError
        The score, the fragments, the core or the device will not do.
    """

    def __init__(
        self,
        settings: SampleSettings,
        progress: Progress,
        pool: ThreadPoolExecutor,
        processes: Processes | None = None,
        command: str | None = None,
        effort: SampleEffort | None = None,
    ) -> None:
        if processes is not None and not settings.proportional:
            raise UserError(
                f"--objective {settings.objective} works in one process; start it without torchrun"
            )
        self.settings, self.progress = settings, progress
        self.effort = SampleEffort() if effort is None else effort
        self.command = command_line() if command is None else command
        self.processes = processes
        self.n_processes = 1 if processes is None else processes.size
        self.clock = progress.clock
        self.state = RunState()
        self.part, self.place = 0, ""
        self.passing: list[Note] = []  # warnings that more time or calls may make untrue
        self._saved = time.monotonic()
        if settings.threads_note:
            self.warn(settings.threads_note, passing=True)
        self.device = choose_device(settings.device)
        self.checkpoint = Path(settings.output) / "checkpoint"
        self.scoring = settings.open_scoring(workers=settings.n_threads, warn=self.warn)
        if self.scoring.n_objectives > 1 and settings.conditioning is not None:
            self.scoring.close()
            raise UserError(
                f"--reward-exponent: the score has {self.scoring.n_objectives} objectives, but "
                "several exponents need a single score; give one exponent, or an aggregation other "
                "than 'pareto'"
            )
        self.reward = Reward(self.scoring)
        self.set_exponents(ExponentRange.for_settings(settings))
        self.environment = make_environment(
            settings, self.reward, settings.symmetry, self._show_reading
        )
        for note in self.environment.notes:
            self.warn(note)
        path = settings.fragments  # empty where the user gives none; as read, were it edited later
        self.fragments_checksum = "" if path is None else file_sha256(Path(path))
        self.reward.environment = self.environment
        self.environment.figures_of_merit = self.reward.objectives
        self.merged: MoleculeEnvironment | TemperedMolecules
        self.merged = self.environment.with_symmetry("merged")
        self.exponent = settings.exponents[0]
        self.calls_allowed = settings.oracle_calls
        self.pool = pool
        self.walkers: Walkers | None = None
        self.trainer = self._new_trainer()
        if self.scoring.n_objectives > 1 and settings.proportional:
            orders = " or ".join(reward_objectives(orders=True))
            self.warn(
                Note(
                    "mean-of-objectives",
                    f"{self.scoring.n_objectives} objectives, but --objective {settings.objective} "
                    f"reads their mean alone; {orders} looks for the Pareto front",
                )
            )

    def _new_trainer(self) -> Trainer:
        settings = TrainingSettings(
            steps=10**9,  # the run decides when it is enough
            on_policy=self.effort.on_policy + self.effort.walkers * (not self.walks),
            replay=self.effort.replayed,
            epsilon=EPSILON,
            optimiser="muon",
            learning_rate=LEARNING_RATE,
            log_z_learning_rate=LOG_Z_LEARNING_RATE,
            clip_norm=CLIP_NORM,
            average_decay=AVERAGE_DECAY,
        )
        seed = int(self.rng("policy").integers(2**31))
        conditioning = self.settings.conditioning
        objective = make_objective(
            self.settings.objective,
            loss_shape="pseudo_huber",
            conditional=conditioning is not None,
            **options_of_objective(self.settings),
        )

        def new_policy(seed: int, flow: bool, backward: bool = False) -> Policy:
            return make_policy(
                self.environment,
                hidden=self.effort.hidden,
                rounds=self.effort.rounds,
                seed=seed,
                device=self.device,
                flow=flow,
                conditioning="none" if conditioning is None else conditioning,
                backward=backward,
            )

        policy = new_policy(seed, objective.needs_flow)
        backward_policy, backward_training = make_backward_policy(
            self.settings.backward_policy, lambda flow: new_policy(seed + 1, flow, backward=True)
        )
        if conditioning is None:
            environment, temperatures = self.environment, None
            replay = Replay(self.environment, REPLAY_CAPACITY)
        else:
            environment = TemperedEnvironment(self.environment, 1.0)
            temperatures = self._draw_temperatures
            replay = TemperedReplay(environment, REPLAY_CAPACITY)
        trainer = Trainer(
            environment,
            policy,
            objective,
            settings,
            self.rng("training"),
            backward_policy=backward_policy,
            backward_training=backward_training,
            replay=replay,
            temperatures=temperatures,
            processes=self.processes,
        )
        if self.walks:
            self.walkers = Walkers(
                self.environment,
                policy,
                self.effort.walkers,
                self.effort.local_steps,
                epsilon=self.effort.local_epsilon,
                temperature=self.effort.local_temperature,
                inverse_temperatures=self.effort.walker_levels,
                keep=replay.add,
            )
            trainer.terminal_batches = self.walkers
        if self.settings.n_threads > 1:
            policy.pool = trainer.averaged.policy.pool = self.pool
        return trainer

    def set_exponents(self, exponents: ExponentRange) -> None:
        """Set the range of exponents that the sampler learns."""
        self.exponents = exponents
        self.reward.set_exponent(exponents.middle, exponents.low)

    def _draw_temperatures(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the inverse temperatures of a training step."""
        return self.exponents.draw(rng)

    def log_reward(self, smiles: Sequence[str]) -> np.ndarray:
        """Return log R of distinct canonical SMILES at the exponent of this view; nats, (n,)."""
        log_reward = self.reward(smiles)
        if self.reward.exponent == self.exponent:
            return log_reward
        return log_reward * (self.exponent / self.reward.exponent)

    def _show_reading(self, done: int, total: int) -> None:
        """Show how many lines of the file of fragments are read; end with the budget."""
        self.progress.update(detail=f"reading fragments, line {done:,} of {total:,}")
        if self.seconds() > self.settings.budget_seconds:
            raise UserError(
                f"--budget {self.settings.budget}: used up while fragments were read (line "
                f"{done:,} of {total:,}); give a larger budget, or fewer fragments"
            )

    @property
    def walks(self) -> bool:
        """Whether walkers teach the policy: where there is one target, known to one process."""
        settings = self.settings
        single = settings.conditioning is None and self.processes is None
        return settings.proportional and single and self.effort.walkers > 0

    @property
    def calls_a_step(self) -> int:
        """Molecules that a step of training may ask to be scored."""
        return (self.effort.on_policy + self.effort.walkers) * self.n_processes

    @property
    def calls_left(self) -> int:
        """Scores that training may still ask for: some are left for the draws of the library."""
        settings, effort = self.settings, self.effort
        kept = max(
            math.ceil(effort.calls_kept * settings.samples * len(settings.exponents)),
            math.ceil(effort.calls_share_kept * settings.oracle_calls),
        )
        kept = min(kept, settings.oracle_calls // 2)
        return settings.oracle_calls - kept - self.scoring.calls

    @property
    def control_calls(self) -> int:
        """Oracle calls that the draws at each exponent leave for the check of the library."""
        effort, settings = self.effort, self.settings
        if not settings.proportional:
            return 0
        share = effort.control_calls / len(settings.exponents)
        rounds = effort.control_rounds
        calls = min(effort.control_molecules * rounds, int(share * settings.oracle_calls))
        return calls if calls >= effort.fewest_control_molecules * rounds else 0

    def warn(self, warning: Note, *, passing: bool = False) -> None:
        """Tell the user now, and in the summary; what is passing is not kept in checkpoints."""
        warning = Note(warning.code, f"{self.place}{warning}")
        (self.passing if passing else self.state.warnings).append(warning)
        self.progress.warn(warning)

    def rng(self, purpose: str, *more: int) -> np.random.Generator:
        """A generator of its own for each purpose, and for each exponent."""
        part = (self.part,) if self.part else ()
        return np.random.default_rng([self.settings.seed, SEEDS[purpose], *more, *part])

    def seconds(self) -> float:
        """Seconds of the budget that the run has used, earlier sessions included."""
        return self.clock.seconds()

    def left(self, share: float) -> float:
        """Seconds, 0 or more, until a share of the budget is used up."""
        return max(0.0, share * self.settings.budget_seconds - self.seconds())

    def past(self, share: float) -> bool:
        """Whether a share of the budget is used up."""
        return self.seconds() > share * self.settings.budget_seconds

    def seconds_a_draw(self) -> float:
        """Seconds that a trajectory of the training took to be drawn and scored; 0 before any."""
        trained = self.trainer.step_number * (self.effort.on_policy + self.effort.walkers)
        by_part = self.trainer.seconds_by_part
        return (by_part["sampling"] + by_part["reward"]) / trained if trained else 0.0

    def save(self) -> None:
        """Write a checkpoint."""
        arrays, scored = self.scoring.cache_state()
        if self.walkers is not None:
            arrays |= {f"walkers/{key}": value for key, value in self.walkers.arrays().items()}
        extra = {
            "blocks": self.state.blocks,
            "in_block": self.state.in_block,
            "spent": self.clock.spent(),
            "exponents": [self.exponents.low, self.exponents.high],
            "accurate": self.state.accurate,
            "ess_share": self.state.ess_share,
            "warnings": self.state.warnings,
            "warning_codes": [warning.code for warning in self.state.warnings],
            "floored": sorted(self.reward.floored),
            "buried": sorted(self.reward.buried),
            "scoring": scored,
            "fragments": self.fragments_checksum,
        }
        save_checkpoint(self.checkpoint, self.trainer, extra, arrays, self.settings.origin())
        self._saved = time.monotonic()

    def save_if_due(self) -> None:
        """Write a checkpoint if the last one is `SampleEffort.checkpoint_seconds` old."""
        if time.monotonic() - self._saved > self.effort.checkpoint_seconds:
            self.save()

    def restore(self, saved: Checkpoint) -> None:
        """Go on from a checkpoint."""
        extra = saved.extra
        if extra["fragments"] != self.fragments_checksum:
            raise UserError(
                f"{self.settings.fragments} is not the fragment file with which the run in "
                f"{self.settings.output} began with: restore that value, or start a new run"
            )
        exponents = ExponentRange(*extra["exponents"])
        exponents.check(self.settings.exponents)
        self.set_exponents(exponents)
        self.scoring.restore(saved.arrays, extra["scoring"])
        restore_trainer(saved, self.trainer)
        if self.walkers is not None:
            start = "walkers/"
            self.walkers.load_arrays(
                {k.removeprefix(start): v for k, v in saved.arrays.items() if k.startswith(start)}
            )
        state = self.state
        state.blocks, state.in_block = extra["blocks"], extra["in_block"]
        self.clock.resume(extra["spent"])
        state.accurate, state.ess_share = extra["accurate"], extra["ess_share"]
        texts = extra["warnings"]
        codes = extra.get("warning_codes", ["earlier"] * len(texts))  # absent in older runs
        earlier = [Note(code, text) for code, text in zip(codes, texts, strict=True)]
        state.warnings = list(dict.fromkeys([*earlier, *state.warnings]))
        # failures that are tried again are known no more
        self.reward.floored = {name for name in extra["floored"] if self.scoring.is_known(name)}
        self.reward.buried = set(extra.get("buried", ()))
        self.reward.best = float(self.scoring.best(1)[1].max(initial=0.0))
