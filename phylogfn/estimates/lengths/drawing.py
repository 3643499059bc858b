"""Importance draws of branch lengths over the topologies of a posterior.

With closed forms R_i of the topologies and masses m_i that estimate them (R_i where a topology was
known before the draws, else the mean importance weight),

    Z = sum_i m_i r_i,    r_i = E_b[p(Y, b | i) / (q_i(b) R_i)],

where r_i corrects the closed form. Draws are spent by distinct topology: those of large mass are
all drawn for, half of the draws by mass and half evenly, and of the rest a systematic sample
represents the others (stratified sampling). So Z has an error that is measured, and each topology
has a correction of its own, or, where it was not drawn for, that of those like it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gfncore.evaluation.pareto_k import PARETO_K_LIMIT
from phylogfn.estimates.joint_draws import JointDraws
from phylogfn.estimates.lengths.corrections import corrected
from phylogfn.estimates.lengths.designs import BLOCK, Design, draw_blocks
from phylogfn.estimates.lengths.masses import TopologyMasses
from phylogfn.estimates.lengths.pilots import (
    ANNEALING_SHARE,
    HEAVY_TAIL,
    MOST_DRAWS,
    Pilot,
)
from phylogfn.estimates.lengths.samples import LengthSamples

if TYPE_CHECKING:
    from phylogfn.exploration.topologies import TopologyTable
    from phylogfn.likelihood.collapsed import CollapsedReward

__all__ = ["FEWEST_DRAWS", "draw_branch_lengths"]

FEWEST_DRAWS = 1000 * BLOCK  # of the first design
SMALLEST_POINTS = 4  # of a design that time cuts short
PILOT_SHARE = 0.2  # of the time, for the pilot
WORTH_IT = 1.2  # factor on the number of blocks that a second design must have
FEWEST_ANNEALED = 4096  # annealed draws that are made, if time allows
MORE_IF_HEAVY = 8.0  # factor on the number of draws then
SAFETY = 0.7  # share of the time that is planned for: the cost of a draw varies


def draw_branch_lengths(
    masses: TopologyMasses,
    table: TopologyTable,
    reward: CollapsedReward,
    n_samples: int,
    rng: np.random.Generator,
    aim: float,
    seconds: float = math.inf,
    tell: Callable[[float, str], None] = lambda done, text: None,
    clock: Callable[[], float] = time.monotonic,
    joint: Callable[[np.ndarray], JointDraws] | None = None,
    n_parameters: int = 0,
    fewest_draws: int = FEWEST_DRAWS,
    most_draws: int = MOST_DRAWS,
) -> LengthSamples:
    """Draw branch lengths, correct the closed form, and return resampled trees with lengths.

    Free parameters of the model are drawn with the lengths. At fixed parameters the lengths of the
    branches are drawn independently, or jointly where pilot draws say that this is better.

    Parameters
    ----------
    masses : TopologyMasses
    table : TopologyTable
    reward : CollapsedReward
    n_samples : int
        S, the number of equally weighted trees with lengths.
    rng : numpy.random.Generator
    aim : float
        Target standard error of the log correction, in nats, for further draws.
    seconds : float
        Maximum time. The cost of a block of draws is measured first, and the number of blocks is
        reduced to fit; if it is not reduced, the result depends only on the seed.
    tell : callable
        Called from time to time with the completed share of the draws and a few words.
    clock : callable
        Clock in seconds, on which ``seconds`` is measured.
    joint : callable, optional
        Takes rows, best first, and makes the joint draws of their topologies. Required if the model
        has free parameters.
    n_parameters : int
        Number of free parameters.
    fewest_draws, most_draws : int
        Of lengths, if time allows; more than the fewest are made where they are needed.
    """
    end = clock() + seconds
    limit = max(most_draws // BLOCK, SMALLEST_POINTS)

    def fitting(cost: float) -> int:
        points = SAFETY * (end - clock()) / max(cost, 1e-9)
        return int(max(min(points, limit), SMALLEST_POINTS))

    def wanted_points(pilot: Pilot) -> int:
        if pilot.source.rungs > 1:
            return min(max(FEWEST_ANNEALED, 2 * n_samples) // BLOCK, limit)
        return min(max(fewest_draws // BLOCK, n_samples), limit)

    def first_size(pilot: Pilot) -> int:
        return min(wanted_points(pilot), fitting(pilot.seconds))

    def carry_out(pilot: Pilot, points: int) -> tuple[LengthSamples, int, float]:
        began = clock()
        design = Design.of_size(masses.shares, points, rng)
        blocks = draw_blocks(design, masses, table, pilot.source, n_samples, rng, tell)
        result = corrected(blocks, design, masses, table, n_samples, rng)
        result = replace(result, method=pilot.source.method, rungs=pilot.source.rungs)
        return result, points, (clock() - began) / points

    tell(0.0, "pilot draws")
    made: list[JointDraws] = []

    def joint_draws(rows: np.ndarray) -> JointDraws:
        assert joint is not None
        made.append(joint(rows))
        return made[-1]

    def annealed() -> Pilot | None:
        left = max(end - clock(), 0.0)
        return Pilot.run_annealed(made[-1], masses, rng, ANNEALING_SHARE * left, clock)

    pilot = None
    if n_parameters == 0:
        judged = joint is not None
        pilot = Pilot.run(masses, table, reward, rng, PILOT_SHARE * seconds, clock, judged)
    if joint is not None and (pilot is None or pilot.is_poor):
        jointly = Pilot.run_joint(joint_draws, masses, rng, PILOT_SHARE * seconds, clock)
        pilot = jointly if pilot is None else pilot.better(jointly)
        if pilot.needs_annealing:
            pilot = pilot.better(annealed())
    if pilot is None:
        raise ValueError("free parameters need joint draws")
    result, points, cost = carry_out(pilot, first_size(pilot))
    # below the limit more draws help, and one step gives many more effective draws in a time than a
    # ladder
    if result.pareto_k > PARETO_K_LIMIT and result.rungs == 1 and made:
        # the tail of a few pilot draws is not that of all draws
        found = replace(
            pilot, effective_share=result.ess / result.n_draws, pareto_k=result.pareto_k
        )
        best = found.better(annealed())
        if best is not found:
            # whatever they give: a choice between results by their weights would be biased
            pilot = best
            result, points, cost = carry_out(pilot, first_size(pilot))
    more = (result.standard_error / aim) ** 2
    if result.pareto_k > HEAVY_TAIL:
        more = max(more, 1.0) * MORE_IF_HEAVY
    wanted = max(wanted_points(pilot), min(math.ceil(points * more), limit))
    affordable = min(wanted, fitting(cost))
    if affordable > WORTH_IT * points:
        result, points, _ = carry_out(pilot, affordable)
    if points * WORTH_IT < wanted:
        result = replace(result, wanted_draws=wanted * BLOCK)
    return result
