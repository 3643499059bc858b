"""``molgen sample``: from a score to a library of molecules with their probabilities.

    environment and score -> training in blocks, judged by draws -> draws -> probabilities -> files

All decisions but one depend on what was found and not on the clock, so that a seed reproduces the
files; the one is the end of the budget, and the user is told when it struck.
"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rdkit import Chem

from gfncore.checkpoint import Checkpoint, read_checkpoint, restore_trainer, save_checkpoint
from gfncore.configuration import settings_toml
from gfncore.devices import choose_device
from gfncore.distributed import Processes, join_processes
from gfncore.errors import UserError
from gfncore.evaluation import effective_sample_size, log_partition
from gfncore.exploration import sample_trajectories
from gfncore.metrics import MetricsWriter
from gfncore.objectives import make_objective
from gfncore.output import clear_output, write_atomic
from gfncore.progress import Progress
from gfncore.provenance import Stopwatch, command_line, record_provenance
from gfncore.replay import Replay
from gfncore.training import Trainer, TrainingSettings
from gfncore.trajectories import score_backward
from molgen.citations import ALWAYS_CITED, methods_of_settings
from molgen.diversity import MODE_SCORE, ScaffoldCap, find_modes, morgan_fingerprints
from molgen.library import Library, count_draws
from molgen.policy import make_policy
from molgen.probabilities import molecule_probabilities
from molgen.problem import make_environment
from molgen.reward import Reward
from molgen.settings import SampleSettings
from molgen.writers import OUTPUT_NAMES, RunFacts, write_results

__all__ = ["run_sample"]

ON_POLICY = 64  # trajectories a step
REPLAYED = 64
LEARNING_RATE = 2e-3  # of Muon
LOG_Z_LEARNING_RATE = 0.3
EPSILON = 0.02  # share of uniform choices in the training draws
AVERAGE_DECAY = 0.99
CLIP_NORM = 5.0
REPLAY_CAPACITY = 20_000
BLOCK = 10  # steps between looks at the clock
PILOT_EVERY = 10  # blocks
MODES_EVERY = 10  # blocks between counts of modes
MODES_AMONG = 1000  # best molecules in which they are counted during training
PILOT = 512  # draws that judge the sampler
FEWEST_STEPS = 400
ACCURATE_SHARE = 0.8  # effective share of the pilot's draws at which training ends
TRAIN_SHARE = 0.85  # of the budget
CALLS_KEPT = 2.0  # calls a molecule of the library that training leaves for the draws
DRAW_BATCH = 500
MOST_DRAWS = 20  # draws a molecule of the library, at most
CHECKPOINT_SECONDS = 30.0
SEEDS = {"policy": 1, "training": 2, "pilot": 3, "draws": 4, "probabilities": 5}


@dataclass
class _State:
    """Where a run stands."""

    blocks: int = 0
    seconds: float = 0.0  # of earlier sessions
    accurate: bool = False
    ess_share: float = math.nan
    warnings: list[str] = field(default_factory=list)


class _Run:
    """One run: the settings, the score, the environment, the trainer."""

    def __init__(
        self,
        settings: SampleSettings,
        progress: Progress,
        pool: ThreadPoolExecutor,
        processes: Processes | None = None,
    ) -> None:
        if processes is not None and settings.objective == "order_preserving":
            raise UserError(
                "--objective order_preserving works in one process; start it without torchrun"
            )
        self.settings, self.progress = settings, progress
        self.processes = processes
        self.n_processes = 1 if processes is None else processes.size
        self.watch = Stopwatch()
        self.state = _State()
        self.device = choose_device(settings.device)
        self.checkpoint = Path(settings.output) / "checkpoint"
        self.scoring = settings.open_scoring(workers=settings.n_threads, warn=self.warn)
        self.reward = Reward(self.scoring, settings.reward_exponent)
        self.environment = make_environment(settings, self.reward, settings.symmetry)
        self.reward.environment = self.environment
        # an attribute of this one environment: see `gfncore.environment.ManyObjectives`
        self.environment.objectives = self.reward.objectives
        self.merged = self.environment.with_symmetry("merged")
        self.pool = pool
        self.trainer = self._new_trainer()
        if self.scoring.n_objectives > 1 and settings.objective != "order_preserving":
            self.warn(
                f"{self.scoring.n_objectives} objectives, but --objective {settings.objective} "
                "reads their mean alone; order_preserving looks for the Pareto front"
            )

    def _new_trainer(self) -> Trainer:
        settings = TrainingSettings(
            steps=10**9,  # the run decides when it is enough
            on_policy=ON_POLICY,
            replay=REPLAYED,
            epsilon=EPSILON,
            optimiser="muon",
            learning_rate=LEARNING_RATE,
            log_z_learning_rate=LOG_Z_LEARNING_RATE,
            clip_norm=CLIP_NORM,
            average_decay=AVERAGE_DECAY,
        )
        seed = int(self.rng("policy").integers(2**31))
        policy = make_policy(self.environment, seed=seed, device=self.device)
        objective = make_objective(
            self.settings.objective,
            loss_shape="pseudo_huber",
            order_temperature=self.settings.order_temperature or 1.0,
        )
        trainer = Trainer(
            self.environment,
            policy,
            objective,
            settings,
            self.rng("training"),
            replay=Replay(self.environment, REPLAY_CAPACITY),
            processes=self.processes,
        )
        if self.settings.n_threads > 1:
            policy.pool = trainer.averaged.policy.pool = self.pool
        return trainer

    @property
    def calls_a_step(self) -> int:
        """Molecules that a step of training may ask to be scored."""
        return ON_POLICY * self.n_processes

    def warn(self, message: str) -> None:
        """Tell the user now, and in the summary."""
        self.state.warnings.append(message)
        self.progress.warn(message)

    def rng(self, purpose: str, *more: int) -> np.random.Generator:
        """A generator of its own for each purpose."""
        return np.random.default_rng([self.settings.seed, SEEDS[purpose], *more])

    def seconds(self) -> float:
        """Wall-clock time of the run, earlier sessions included."""
        return self.watch.elapsed() + self.state.seconds

    def save(self) -> None:
        """Write a checkpoint."""
        arrays, scored = self.scoring.cache_state()
        extra = {
            "blocks": self.state.blocks,
            "seconds": self.seconds(),
            "accurate": self.state.accurate,
            "ess_share": self.state.ess_share,
            "warnings": self.state.warnings,
            "floored": sorted(self.reward.floored),
            "scoring": scored,
        }
        save_checkpoint(self.checkpoint, self.trainer, extra, arrays)

    def restore(self, saved: Checkpoint) -> None:
        """Go on from a checkpoint."""
        extra = saved.extra
        self.scoring.restore(saved.arrays, extra["scoring"])
        restore_trainer(saved, self.trainer)
        state = self.state
        state.blocks, state.seconds = extra["blocks"], extra["seconds"]
        self.progress.spent_before = state.seconds
        state.accurate, state.ess_share = extra["accurate"], extra["ess_share"]
        state.warnings = list(dict.fromkeys([*extra["warnings"], *state.warnings]))
        self.reward.floored = set(extra["floored"])
        self.reward.best = float(self.scoring.best(1)[1].max(initial=0.0))


def run_sample(settings: SampleSettings, progress: Progress) -> None:
    """Run and write all files.

    Raises
    ------
    UserError
        The score, the fragments, the core or the device will not do.
    """
    torch.set_num_threads(1)  # the pool's threads share the work; sums then do not depend on it
    processes = join_processes([settings.seed, SEEDS["training"]])
    with ThreadPoolExecutor(settings.n_threads) as pool:
        run = _Run(settings, progress, pool, processes)
        try:
            if processes is not None and not processes.leads:
                run.trainer.follow()
                return
            if settings.resume and (run.checkpoint / "checkpoint.json").exists():
                run.restore(read_checkpoint(run.checkpoint))
            else:
                if settings.resume:
                    progress.note("interrupted before its first checkpoint: starting again")
                clear_output(settings.output, OUTPUT_NAMES)
                write_atomic(settings.output / "run.toml", settings_toml(settings))
            curves, done = settings.output / "train.jsonl", run.trainer.step_number
            with MetricsWriter(curves, done, settings.tensorboard_directory) as metrics:
                _train(run, metrics)
            if processes is not None:
                processes.finish()
            _finish(run)
        finally:
            run.scoring.close()


def _calls_left(run: _Run) -> int:
    """Scores that training may still ask for: some are left for the draws of the library."""
    settings = run.settings
    kept = min(math.ceil(CALLS_KEPT * settings.samples), settings.oracle_calls // 2)
    return settings.oracle_calls - kept - run.scoring.calls


def _train(run: _Run, metrics: MetricsWriter) -> None:
    """Blocks of training until the sampler is accurate, or calls or time are used up."""
    run.progress.phase("training the sampler")
    settings, state, trainer = run.settings, run.state, run.trainer
    saved, ended = time.monotonic(), ""
    ordered = settings.objective == "order_preserving"  # it aims for no distribution
    early = "" if ordered else " before the accuracy aimed for was reached"
    while not state.accurate:
        if state.blocks and run.seconds() > TRAIN_SHARE * settings.budget_seconds:
            ended = (
                f"the budget of {settings.budget} ended the training{early}: with the same seed, "
                "files may differ between machines"
            )
            break
        if _calls_left(run) < run.calls_a_step:
            ended = (
                f"training ended when {run.scoring.calls:,} of {settings.oracle_calls:,} molecules "
                f"were scored{early}; the rest is for the draws. --oracle-calls allows more"
            )
            break
        if state.blocks == 0:
            _start_log_z(run)
        for _ in range(BLOCK):
            if _calls_left(run) < run.calls_a_step:
                break
            metrics.write(trainer.step())
        state.blocks += 1
        detail = f"step {trainer.step_number}, {run.scoring.calls:,} molecules scored"
        judged = not ordered and _calls_left(run) >= PILOT
        metrics.write(_best_so_far(run))
        if judged and state.blocks % PILOT_EVERY == 0:
            log_z, error, ess = _pilot(run)
            state.ess_share = ess / PILOT
            state.accurate = (
                state.ess_share > ACCURATE_SHARE and trainer.step_number >= FEWEST_STEPS
            )
            metrics.write(
                {
                    "step": trainer.step_number,
                    "seconds": trainer.seconds,
                    "log_partition": log_z,
                    "log_partition_se": error,
                    "ess": ess,
                }
            )
        shown: dict[str, float] = {"best_score": run.reward.best}
        if math.isfinite(state.ess_share):
            shown["effective_share"] = state.ess_share
        run.progress.update(**shown, detail=detail, done=_spent(run))
        if state.accurate or time.monotonic() - saved > CHECKPOINT_SECONDS:
            run.save()
            saved = time.monotonic()
    run.save()
    if ended:  # not in the checkpoint: with more time or calls it need not be so
        run.warn(ended)


def _spent(run: _Run) -> float:
    """Share of the calls or of the time of training that is used up, whichever is larger."""
    allowed = run.scoring.calls + max(_calls_left(run) - run.calls_a_step, 0)
    calls = run.scoring.calls / allowed if allowed else 1.0
    return max(calls, run.seconds() / (TRAIN_SHARE * run.settings.budget_seconds))


def _best_so_far(run: _Run) -> dict[str, Any]:
    """How good and, now and then, how different the best of the molecules scored are."""
    found = {
        "step": run.trainer.step_number,
        "seconds": run.trainer.seconds,
        "best_score": run.reward.best,
        "oracle_calls": run.scoring.calls,
    }
    if run.state.blocks % MODES_EVERY == 0:
        smiles, scores = run.scoring.best(MODES_AMONG)
        bits = morgan_fingerprints([Chem.MolFromSmiles(name) for name in smiles])
        found["n_modes"] = len(find_modes(bits, scores, least_score=MODE_SCORE))
    return found


def _start_log_z(run: _Run) -> None:
    """Let a learned log Z start where the first draws of the untrained policy put it."""
    log_z = getattr(run.trainer.objective, "log_z", None)
    n = min(PILOT // 4, _calls_left(run) - run.calls_a_step)
    if log_z is not None and n > 1:
        _, log_weights = _weighed(run, run.trainer.policy, n, run.rng("pilot"))
        with torch.no_grad():
            log_z.fill_(float(log_weights.mean()))


def _weighed(
    run: _Run, policy: Any, n: int, generator: np.random.Generator
) -> tuple[Any, np.ndarray]:
    """Draw n finished states, with log R + log P_B - log P_F, all by classes."""
    drawn = sample_trajectories(run.merged, policy, n, generator)
    log_pb = score_backward(run.merged, None, drawn).sum(dim=1).cpu().numpy()
    assert drawn.log_pf is not None
    return drawn.terminals, run.merged.log_reward(drawn.terminals) + log_pb - drawn.log_pf


def _pilot(run: _Run) -> tuple[float, float, float]:
    """log Z, its standard error, and the effective number of `PILOT` draws."""
    generator = run.rng("pilot", run.state.blocks)
    _, log_weights = _weighed(run, run.trainer.averaged.policy, PILOT, generator)
    return *log_partition(log_weights), effective_sample_size(log_weights)


@dataclass
class _Drawn:
    """What was drawn for the library."""

    smiles: list[str]
    states: Any
    log_weights: np.ndarray
    unscored: int
    cap: ScaffoldCap


def _draw(run: _Run) -> _Drawn:
    """Draw until the library has as many molecules as were asked for."""
    settings, generator = run.settings, run.rng("draws")
    policy = run.trainer.averaged.policy
    smiles: list[str] = []
    parts, weights = [], []
    cap = ScaffoldCap(settings.max_per_scaffold)
    unscored = drawn = 0
    while len(cap.admitted) < settings.samples and drawn < MOST_DRAWS * settings.samples:
        batch = sample_trajectories(run.merged, policy, DRAW_BATCH, generator)
        log_pb = score_backward(run.merged, None, batch).sum(dim=1).cpu().numpy()
        assert batch.log_pf is not None
        names = run.merged.smiles(batch.terminals)
        drawn += len(names)
        known = np.arange(_scored_draws(run, names))
        unscored += len(names) - len(known)
        states = batch.terminals.take(known)
        weights.append(run.merged.log_reward(states) + (log_pb - batch.log_pf)[known])
        parts.append(states)
        here = [names[i] for i in known]
        smiles += here
        total = run.scoring.evaluate(here, canonical=True).total
        for name, score in zip(here, total, strict=True):
            if score > 0.0:
                cap.offer(name)
        run.progress.update(
            detail=f"{len(cap.admitted):,} molecules from {drawn:,} draws",
            done=len(cap.admitted) / settings.samples,
        )
        if unscored:
            break
    states = type(parts[0]).concat(parts)
    return _Drawn(smiles, states, np.concatenate(weights), unscored, cap)


def _scored_draws(run: _Run, names: list[str]) -> int:
    """How many draws, from the first on, have a score once the calls that are left were spent.

    Later draws are left out even if their molecule is known: known ones are not like the others.
    """
    left = run.settings.oracle_calls - run.scoring.calls
    allowed: set[str] = set()
    for draw, name in enumerate(names):
        if name not in allowed and not run.scoring.is_known(name):
            if left == 0:
                return draw
            left -= 1
        allowed.add(name)
    return len(names)


def _finish(run: _Run) -> None:
    """Draws, probabilities, files."""
    settings = run.settings
    run.progress.phase("drawing molecules")
    drawn = _draw(run)
    if drawn.unscored:
        run.warn(
            f"{drawn.unscored:,} of the last {DRAW_BATCH:,} draws were left out: all "
            f"{settings.oracle_calls:,} oracle calls were used up; --oracle-calls allows more"
        )
    smiles, count, first = count_draws(drawn.smiles)
    table = run.scoring.evaluate(smiles, canonical=True)
    admitted = [row for row, name in enumerate(smiles) if name in drawn.cap.admitted]
    keep = np.array(admitted[: settings.samples], np.int64)
    beyond = len(drawn.cap.refused)
    if beyond:
        run.progress.note(
            f"{beyond:,} molecules were left out of the library: it has "
            f"{settings.max_per_scaffold:,} of their scaffold (--max-per-scaffold)"
        )
    if len(keep) < settings.samples:
        beside = f" beside the {beyond:,} left out" if beyond else ""
        run.warn(
            f"{len(keep):,} different molecules with a score above zero were found{beside} in "
            f"{len(drawn.smiles):,} draws, and {settings.samples:,} were asked for"
        )
    if not len(keep):
        raise UserError("no molecule with a score above zero was drawn; look at the scoring file")
    run.progress.phase("computing probabilities")
    log_p, error = _probabilities(run, drawn.states.take(first[keep]))
    chosen = [smiles[i] for i in keep]
    library = Library.build(
        chosen,
        run.scoring.evaluate(chosen, canonical=True),
        log_reward=run.reward(chosen),
        objective_names=run.scoring.objective_names,
        log_probability=log_p,
        log_probability_se=error,
        count=count[keep],
    )
    run.progress.phase("writing files")
    log_z, log_z_se = log_partition(drawn.log_weights)
    ess = effective_sample_size(drawn.log_weights)
    _judge(run, ess, len(drawn.smiles))
    use = run.watch.usage()
    facts = RunFacts(
        command=command_line(),
        seed=settings.seed,
        score=settings.score_name,
        environment=settings.environment,
        symmetry=settings.symmetry,
        objective=settings.objective,
        n_samples=len(drawn.smiles),
        oracle_calls=run.scoring.calls,
        use=use,
        log_partition=log_z if settings.objective != "order_preserving" else math.nan,
        log_partition_se=log_z_se if settings.objective != "order_preserving" else math.nan,
        ess=ess if settings.objective != "order_preserving" else math.nan,
        reward_exponent=settings.reward_exponent,
        order_temperature=settings.order_temperature,
        failures=run.scoring.failed,
        methods=(*ALWAYS_CITED, *methods_of_settings(settings.model_dump())),
        budget_seconds=settings.budget_seconds,
        warnings=tuple(run.state.warnings),
        extra={
            "draws_in_library": int(count[keep].sum()),
            "draws_with_score_zero": int(count[table.total == 0.0].sum()),
            "molecules_left_out_by_scaffold": beyond,
            "molecules_at_the_reward_floor": len(run.reward.floored),
            "filtered": run.scoring.filtered,
            "training_steps": run.trainer.step_number,
            "trajectories_trained": (
                run.trainer.step_number * (ON_POLICY + REPLAYED) * run.n_processes
            ),
            "processes": run.n_processes,
            "oracle_calls_retried": run.scoring.retried,
            "training_seconds_by_part": {
                part: round(seconds, 3) for part, seconds in run.trainer.seconds_by_part.items()
            },
            "trained_log_partition": _learned_log_z(run),
        },
    )
    provenance = record_provenance(
        "molgen",
        parameters=settings.configured(),
        seed=settings.seed,
        threads=settings.n_threads,
        device=run.device,
        use=use,
    )
    write_results(settings.output, library, facts, provenance=provenance)
    run.progress.update(
        best_score=float(np.nanmax(library.reward)),
        effective_share=ess / len(drawn.smiles),
        detail=f"{len(library):,} molecules",
        done=1.0,
    )


def _learned_log_z(run: _Run) -> float | None:
    log_z = getattr(run.trainer.objective, "log_z", None)
    return None if log_z is None else float(log_z.detach())


def _judge(run: _Run, ess: float, draws: int) -> None:
    """Warn where the draws are far from the distribution asked for."""
    if run.settings.objective != "order_preserving" and ess < 0.1 * draws:
        run.warn(
            f"{draws:,} draws are worth {ess:,.0f} from the distribution asked for: the sampler is "
            "not trained well enough for its probabilities to follow the score; train longer, or "
            "lower --reward-exponent"
        )


def _probabilities(run: _Run, states: Any) -> tuple[np.ndarray, np.ndarray]:
    """Log-probability of each drawn state's molecule, with its standard error."""
    merged = run.merged
    several = merged.multiplicity(states) > 1
    parts, molecule = [states.take(np.flatnonzero(~several))], [np.flatnonzero(~several)]
    rows = np.flatnonzero(several)
    for row, smiles in zip(rows, merged.smiles(states.take(rows)), strict=True):
        found = merged.states_of_smiles(smiles)
        parts.append(found)
        molecule.append(np.full(len(found), row))
    return molecule_probabilities(
        merged,
        run.trainer.averaged.policy,
        type(states).concat(parts),
        np.concatenate(molecule),
        run.rng("probabilities"),
    )
