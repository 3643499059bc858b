"""The interface of samplers, which a run uses for each construction method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from scipy.special import logsumexp

from gfncore.objectives.base import make_objective
from gfncore.program.objectives import options_of_objective
from gfncore.training.trainer import Trainer
from phylogfn.training.curricula import Curriculum, make_policy, make_trainer

if TYPE_CHECKING:
    from gfncore.backward.base import BackwardTraining
    from gfncore.evaluation import PartitionEstimate
    from gfncore.policies import Policy, ValueSpec
    from phylogfn.alignments.alignment import Alignment
    from phylogfn.alignments.patterns import SitePatterns
    from phylogfn.estimates.collapsed import Drawn
    from phylogfn.likelihood.collapsed import CollapsedReward
    from phylogfn.settings import SampleSettings
    from phylogfn.training.random_trees import RandomTrees

__all__ = ["BackwardParts", "Data", "State", "TreeSampler"]


class Data(Protocol):
    """The parts of a run that a sampler reads: settings, data, device and seeds by purpose."""

    settings: SampleSettings
    alignment: Alignment
    patterns: SitePatterns
    device: str

    def rng(self, purpose: str, *numbers: int) -> np.random.Generator:
        """Return the random generator of a purpose."""
        ...


BackwardParts = tuple["Policy | None", "BackwardTraining | None"]
# the state of a run is defined above this folder; its fields are those of `RunState`
State = Any


class TreeSampler(ABC):
    """A construction method: its environment, policy, training, draws and estimates.

    Parameters
    ----------
    settings : SampleSettings

    Raises
    ------
    UserError
        The construction method does not support the settings.

    Attributes
    ----------
    rates_fall : bool
        Whether learning rates fall towards the end of training even without random trees.
    """

    draw_by: ClassVar[Callable[..., Drawn]]
    """Draws by a policy, such as `phylogfn.estimates.collapsed.draw`."""
    rates_fall = False
    parts: ClassVar[bool] = False
    """Whether alignments of several parts, or of morphology, are supported."""

    def __init__(self, settings: SampleSettings):
        self.check(settings)
        self.settings = settings

    @classmethod  # noqa: B027 - neutral default
    def check(cls, settings: SampleSettings) -> None:
        """Refuse settings that this way of building trees does not offer (UserError)."""

    def prepare(self, run: Data, state: State) -> None:  # noqa: B027 - neutral default
        """Choose, after the first walk, the quantities that are fixed during training."""

    @abstractmethod
    def environment(self, run: Data, state: State) -> Any:
        """Return a new environment with the rates in the state."""

    def environment_of(self, run: Data, state: State) -> Any:
        """Return the environment of the trainer, or a new one before there is a trainer."""
        if state.trainer is not None:  # a second environment would have rates of its own
            return state.trainer.environment
        return self.environment(run, state)

    def value_spec(self) -> ValueSpec | None:
        """Return the densities of branch lengths; None where trees are built without them."""
        return None

    def backward_policy(self, environment: Any, seed: int, device: str) -> BackwardParts:
        """Return the network of a new backward policy and how it learns; None and None: uniform."""
        return None, None

    def trainer(self, run: Data, state: State, environment: Any) -> Trainer:
        """Return a new trainer with a new policy."""
        seed = int(run.rng("policy").integers(2**31))
        reward, settings = state.walkers.reward, self.settings
        log_z = float(np.asarray(logsumexp(state.table.log_evidence))) + reward.log_topology_prior
        objective = make_objective(
            settings.objective, log_z, "pseudo_huber", **options_of_objective(settings)
        )
        policy = make_policy(
            environment, seed, run.device, lengths=self.value_spec(), flow=objective.needs_flow
        )
        pool = reward.pool if run.settings.n_threads > 1 else None
        backward, training = self.backward_policy(environment, seed + 1, run.device)
        rng = run.rng("training")
        return make_trainer(
            environment,
            policy,
            log_z,
            rng,
            pool,
            backward_policy=backward,
            backward_training=training,
            objective=objective,
        )

    @abstractmethod
    def curriculum(
        self,
        run: Data,
        state: State,
        environment: Any,
        random_trees: RandomTrees | None,
        n_pool: int,
    ) -> Curriculum:
        """Return the curriculum; ``n_pool`` is the number of trees whose lengths it may draw."""

    def keep_rates(self, state: State, environment: Any) -> None:
        """Copy the rates of the environment into the state for checkpoints."""
        state.rates = environment.rates

    def draw(
        self,
        state: State,
        environment: Any,
        n: int,
        rng: np.random.Generator,
        until: Callable[[], bool] | None = None,
    ) -> Drawn:
        """Return n draws of the averaged policy, fewer where ``until`` ends them."""
        trainer, reward = state.trainer, state.walkers.reward
        policy, backward = trainer.averaged.policy, trainer.backward_policy
        return self.draw_by(environment, policy, reward, state.table, n, rng, backward, until)

    @abstractmethod
    def estimate(self, state: State, drawn: Drawn, n_known: int) -> PartitionEstimate:
        """Return the evidence that draws give; known topologies are the first of the table."""

    @abstractmethod
    def divergence(
        self, run: Data, state: State, environment: Any, estimate: PartitionEstimate, n: int
    ) -> tuple[float, float]:
        """Return the divergence of the sampler from known trees and its error, in nats.

        Parameters
        ----------
        run, state, environment
        estimate : PartitionEstimate
            Estimate from the draws that assess the sampler.
        n : int
            Maximum number of trees for the measurement.
        """


def log_evidence_of(state: State) -> Callable[[np.ndarray], np.ndarray]:
    """Return the log reward of topologies: evidence in closed form plus the prior of topologies."""
    reward: CollapsedReward = state.walkers.reward

    def log_reward(trees: np.ndarray) -> np.ndarray:
        rows = state.table.look_up(reward, trees)
        return state.table.log_evidence[rows] + reward.log_topology_prior

    return log_reward
