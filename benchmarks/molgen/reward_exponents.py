"""One sampler for several reward exponents, held against exact distributions.

    python -m benchmarks.molgen.reward_exponents --conditioning input both --seeds 1 2 3

Molecules of up to four atoms of C, N and O are enumerated (571), with the reward QED^beta. One
policy is trained for all beta of a range, as `molgen sample` trains it, and its exact distribution
is compared with QED^beta / Z(beta) at five exponents of the range. Steps end a training, so that
the figures of a seed are the same on any machine.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import QED

from gfncore.evaluation import total_variation
from gfncore.objectives.base import make_objective
from gfncore.policies import Policy
from gfncore.tempering import TemperatureRange, TemperedEnvironment
from gfncore.training.replay import TemperedReplay
from gfncore.training.settings import TrainingSettings
from gfncore.training.trainer import Trainer
from molgen.environments.atoms import AtomEnvironment
from molgen.molecules.graph import AtomTable
from molgen.policy import make_policy
from molgen.runs.exact import Space, enumerate_space, policy_distribution
from molgen.runs.sample.exponents import HEADROOM

__all__ = ["ConditionedRecipe", "distances", "make_space", "train_conditioned"]


@dataclass(frozen=True)
class ConditionedRecipe:
    """How the policy is made and trained.

    Attributes
    ----------
    conditioning : str
        See `gfncore.policies.conditioning`.
    objective : str
        See `gfncore.objectives`.
    hidden : int
        Width of the network.
    steps : int
        Optimiser steps.
    on_policy, replay : int
        Trajectories of a step.
    temperatures : int
        Different exponents of a step.
    """

    conditioning: str = "input"
    objective: str = "log_variance"
    hidden: int = 64
    steps: int = 600
    on_policy: int = 256
    replay: int = 768
    temperatures: int = 4


def make_space(max_atoms: int, exponent: float) -> Space:
    """Return the molecules of C, N and O with the reward QED^exponent."""
    known: dict[str, float] = {}

    def log_reward(smiles: Sequence[str]) -> np.ndarray:
        for name in smiles:
            if name not in known:
                known[name] = exponent * math.log(QED.qed(Chem.MolFromSmiles(name)))
        return np.array([known[name] for name in smiles])

    return enumerate_space(AtomEnvironment(AtomTable.of(["C", "N", "O"]), max_atoms, log_reward))


def train_conditioned(space: Space, spread: float, recipe: ConditionedRecipe, seed: int) -> Policy:
    """Train a policy for all inverse temperatures from 1 / spread to spread.

    Parameters
    ----------
    space : Space
        Its reward has the exponent in the middle of the range.
    spread : float
        Highest exponent over the middle one; more is learned at both ends, as in `molgen sample`.
    recipe : ConditionedRecipe
    seed : int
        Of the weights and of all draws.

    Returns
    -------
    Policy
        The average over the last steps.
    """
    environment = TemperedEnvironment(space.environment, 1.0)
    objective = make_objective(recipe.objective, loss_shape="pseudo_huber", conditional=True)
    policy = make_policy(
        space.environment,
        recipe.hidden,
        seed=seed,
        flow=objective.needs_flow,
        conditioning=recipe.conditioning,
    )
    wide = spread * HEADROOM
    trainer = Trainer(
        environment,
        policy,
        objective,
        TrainingSettings(
            steps=recipe.steps,
            on_policy=recipe.on_policy,
            replay=recipe.replay,
            epsilon=0.1,
            optimiser="muon",
            learning_rate=6e-3,
            log_z_learning_rate=0.3,
            schedule="cosine",
            clip_norm=10.0,
            average_decay=0.98,
        ),
        np.random.default_rng(seed),
        replay=TemperedReplay(environment, 2 * len(space.terminals), prioritised=False),
        temperatures=TemperatureRange(1.0 / wide, wide, recipe.temperatures).draw,
    )
    trainer.run()
    return trainer.averaged.policy


def distances(space: Space, policy: Policy, betas: Sequence[float]) -> np.ndarray:
    """Return the total variation from the target at each inverse temperature; float64 (K,)."""
    found = []
    for beta in betas:
        at = space.at(float(beta))
        found.append(total_variation(policy_distribution(at, policy), at.target))
    return np.array(found)


def main() -> None:
    """Print a row for each training."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--conditioning", nargs="+", default=["input", "scaling", "both"])
    parser.add_argument("--objective", default="log_variance")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--max-atoms", type=int, default=4)
    parser.add_argument("--lowest", type=float, default=0.5)
    parser.add_argument("--highest", type=float, default=64.0)
    parser.add_argument("--steps", type=int, default=ConditionedRecipe.steps)
    given = parser.parse_args()
    torch.set_num_threads(1)
    middle = math.sqrt(given.lowest * given.highest)
    space = make_space(given.max_atoms, middle)
    exponents = np.geomspace(given.lowest, given.highest, 5)
    print("| conditioning | seed | " + " | ".join(f"{e:.3g}" for e in exponents) + " | CPU s |")
    for seed in given.seeds:
        for conditioning in given.conditioning:
            recipe = ConditionedRecipe(conditioning, given.objective, steps=given.steps)
            began = time.process_time()
            policy = train_conditioned(space, given.highest / middle, recipe, seed)
            used = time.process_time() - began
            row = " | ".join(f"{d:.4f}" for d in distances(space, policy, exponents / middle))
            print(f"| {conditioning} | {seed} | {row} | {used:.0f} |", flush=True)


if __name__ == "__main__":
    main()
