"""Parameters and branch lengths integrated out, under one model or several, at the end of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gfncore.program.messages import Note
from phylogfn.estimates.joint_draws import JointDraws
from phylogfn.estimates.lengths.drawing import draw_branch_lengths
from phylogfn.estimates.model_average import average_models
from phylogfn.likelihood.model_fit import fit_model
from phylogfn.results.facts import ModelEvidence
from phylogfn.runs.sample.posterior.sequences import reserved_share
from phylogfn.trees.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gfncore.evaluation import PartitionEstimate
    from phylogfn.estimates.lengths.masses import TopologyMasses
    from phylogfn.estimates.lengths.samples import LengthSamples
    from phylogfn.likelihood.collapsed import CollapsedReward
    from phylogfn.likelihood.screening import ScreenedModel
    from phylogfn.models import ModelSpec
    from phylogfn.runs.sample.run import SampleRun
    from phylogfn.runs.sample.state import RunState

__all__ = ["Integrated", "integrate"]

FIT_SHARE = 0.2  # of the time for draws of lengths, for the mode of the parameters


@dataclass(frozen=True)
class Integrated:
    """Draws of topologies, lengths and parameters, of all models together.

    Attributes
    ----------
    samples : LengthSamples
    models : ndarray, shape (S,), int64
        Index of the model of each draw.
    specs : sequence of ModelSpec
        The models.
    of_models : sequence of LengthSamples
        The draws of each.
    screened : sequence of ScreenedModel
        All models that were screened; empty if the user has chosen the model.
    """

    samples: LengthSamples
    models: np.ndarray
    specs: Sequence[ModelSpec]
    of_models: Sequence[LengthSamples]
    screened: Sequence[ScreenedModel]

    def parameters(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Return names (P) and values (S, P) of the parameters; NaN where a model has none."""
        described = [self._spec(i).describe(self._theta(i)) for i in range(len(self.models))]
        names = tuple(dict.fromkeys(name for spec in self.specs for name in spec.labels))
        values = [[own.get(name, np.nan) for name in names] for own in described]
        return names, np.array(values).reshape(len(described), len(names))

    def log_parameter_priors(self) -> np.ndarray:
        """Return the log prior density (S,) of the parameters of each draw."""
        priors = [self._spec(i).log_natural_prior(self._theta(i)) for i in range(len(self.models))]
        return np.array(priors)

    def evidences(self, found: PartitionEstimate) -> tuple[ModelEvidence, ...]:
        """Return the models that were compared or screened; empty if there was only one.

        Parameters
        ----------
        found : PartitionEstimate
            The evidence in closed form, which the draws correct.
        """
        if not self.screened:
            return ()
        log_z = np.array([part.log_correction for part in self.of_models])
        weights = np.exp(log_z - log_z.max())
        compared = {
            spec.name: ModelEvidence(
                spec.name,
                log_evidence=found.log_z + part.log_correction,
                standard_error=float(np.hypot(found.standard_error, part.standard_error)),
                probability=float(weight),
            )
            for spec, part, weight in zip(
                self.specs, self.of_models, weights / weights.sum(), strict=True
            )
        }
        return tuple(
            ModelEvidence(
                model.name,
                model.n_parameters,
                model.log_likelihood,
                model.bic,
                *(compared[model.name].evidence if model.name in compared else ()),
            )
            for model in self.screened
        )

    def _spec(self, draw: int) -> ModelSpec:
        return self.specs[self.models[draw]]

    def _theta(self, draw: int) -> np.ndarray:
        return self.samples.thetas[draw, : self._spec(draw).n_free]


def integrate(run: SampleRun, state: RunState, masses: TopologyMasses) -> Integrated:
    """Draw lengths and parameters of each model in the time that is left."""
    run.phase("drawing branch lengths")
    settings, effort = run.settings, run.effort
    specs = [run.spec, *(run.spec_of(name) for name in run.models[1:])]
    left = settings.budget_seconds - run.seconds(state)
    least = effort.lengths_share * settings.budget_seconds
    reserved = effort.writing_share + reserved_share(run)
    end = run.seconds(state) + max(left - reserved * settings.budget_seconds, least)
    parts = []
    shares = _time_shares([spec.name for spec in specs], run.screened)
    for number, spec in enumerate(specs):
        seconds = (end - run.seconds(state)) * shares[number] / shares[number:].sum()
        parts.append(_draws(run, state, masses, spec, number, max(seconds, 0.0)))
    if len(parts) == 1:
        models = np.zeros(settings.samples, np.int64)
        return Integrated(parts[0], models, specs, parts, run.screened)
    averaged = average_models(parts, settings.samples, run.rng("models", 1))
    return Integrated(averaged.samples, averaged.models, specs, parts, run.screened)


def _time_shares(names: Sequence[str], screened: Sequence[ScreenedModel]) -> np.ndarray:
    """Return the share of each model in the time for draws, shape (n,), with sum 1.

    The error of an improbable model hardly matters for the average. Half of the time is divided
    evenly, and half by the probabilities that BIC gives the models.
    """
    bic = {model.name: model.bic for model in screened}
    weights = np.array([-0.5 * bic.get(name, 0.0) for name in names])
    weights = np.exp(weights - weights.max())
    return 0.5 / len(names) + 0.5 * weights / weights.sum()


def _draws(
    run: SampleRun,
    state: RunState,
    masses: TopologyMasses,
    spec: ModelSpec,
    number: int,
    seconds: float,
) -> LengthSamples:
    """Draw lengths and parameters under one model."""
    reward, theta = state.walkers.reward, state.theta
    if number:
        theta = spec.start(run.patterns)
        reward = run.reward(theta, spec)
    made: list[JointDraws] = []

    def joint(rows: np.ndarray) -> JointDraws:
        made.append(_joint_draws(run, state, spec, theta, reward, rows, FIT_SHARE * seconds))
        return made[-1]

    def told(done: float, text: str) -> None:
        of = f"{spec.name}: " if len(run.models) > 1 else ""
        run.progress.update(done=(number + done) / len(run.models), detail=of + text)

    lengths = draw_branch_lengths(
        masses,
        state.table,
        reward,
        run.settings.samples,
        run.rng("draws", 2, *([number] if number else [])),
        run.aims.standard_error,
        seconds,
        told,
        lambda: run.seconds(state),
        joint,
        spec.n_free,
        run.effort.fewest_length_draws,
        run.effort.most_length_draws,
    )
    _account(run, state, reward, made)
    if lengths.wanted_draws > lengths.n_draws:
        above = lengths.standard_error > run.aims.standard_error
        reason = (
            "standard errors are above their target"
            if above
            else "more would show whether the tail of their weights is heavy"
        )
        of = f" under {spec.name}" if len(run.models) > 1 else ""
        run.warn(
            Note(
                "few-branch-length-draws",
                f"the budget of {run.settings.budget} allowed {lengths.n_draws:,} of the "
                f"{lengths.wanted_draws:,} draws of branch lengths{of}; {reason}",
            )
        )
    return lengths


def _account(
    run: SampleRun, state: RunState, reward: CollapsedReward, made: Sequence[JointDraws]
) -> None:
    """Count evaluations of the likelihood, and tell of draws that it could not be computed for."""
    own = state.walkers.reward
    for other in dict.fromkeys([reward, *(draws.target.reward for draws in made)]):
        if other is not own:
            own.evaluations += other.evaluations
            other.pool.shutdown()
    invalid = sum(draws.target.n_invalid for draws in made)
    if invalid:
        run.warn(
            Note(
                "invalid-draws",
                f"{invalid:,} draws of parameters were outside the range in which the "
                "likelihood can be computed, and count as impossible",
            )
        )


def _joint_draws(
    run: SampleRun,
    state: RunState,
    spec: ModelSpec,
    theta: np.ndarray,
    reward: CollapsedReward,
    rows: np.ndarray,
    seconds: float,
) -> JointDraws:
    """Draws of parameters and lengths around the mode of the parameters on the best topology."""
    table = state.table
    if spec.n_free:
        end = run.seconds(state) + seconds
        best = rows[0]
        fit = fit_model(
            spec,
            run.patterns,
            Tree.from_parents(table.parents[best], table.lengths[best]),
            theta=theta,
            branch_prior=reward.branch_prior,
            with_prior=True,
            until=lambda: run.seconds(state) > end,
        )
        theta, reward = fit.theta, run.reward(fit.theta, spec)
    return JointDraws(spec, reward, theta, table)
