"""How much a run of ``phylogfn parsimony`` searches, trains and draws, and when that is enough."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ParsimonyEffort"]


@dataclass(frozen=True)
class ParsimonyEffort:
    """Numbers that decide how long the parts of a run take; tests make them small."""

    # Shares of the budget
    search_share: float = 0.35  # maximum of the search
    wider_share: float = 0.25  # after which no search for more trees begins
    train_share: float = 0.85  # after which no step begins
    pilot_share: float = 0.1  # maximum of the draws that judge a cycle
    settling_share: float = 0.1  # maximum of the last steps: cycles end so much earlier
    draws_share: float = 1.0  # after which no batch of draws begins

    # Search
    most_found: int = 20_000  # trees that the search collects
    most_known: int = 40_000  # and with those that the sampler meets before its last draws
    first_excess: float = 2.0  # steps; doubled while few trees are found, up to `widest`
    enough_found: int = 1000  # trees
    widest: float = 8.0  # temperatures

    # Training
    largest_trained: int = 150  # taxa: with more, a draw takes too long to train the sampler
    widening: float = 2.0  # lowest temperature asked for over the lowest one learned
    headroom: float = 1.5  # highest temperature learned over the highest one asked for
    more_temperatures: int = 4  # that a cycle learns from beside those asked for
    cycle_steps: int = 60
    settling_steps: int = 120  # the last ones, in which the learning rates fall to zero
    rates_at_cycles: tuple[int, ...] = (0, 2, 5, 10)  # before which rates are counted anew
    trajectories: int = 96  # of a step with own draws
    easy_taxa: int = 50  # up to which there are so many draws; more taxa, fewer
    checkpoint_seconds: float = 30.0

    # Judging a cycle
    pilot_draws: int = 500  # at each temperature
    compared: int = 200  # draws of known trees, for `missed`
    fewest_cycles: int = 3
    accurate: float = 0.01  # standard error of log Z, nats, that more draws are to reach
    accurate_share: float = 0.5  # effective share of the draws at which training ends
    missed: float = 0.1  # KL from the known trees to the sampler, nats, at which training ends

    # Last draws, at each temperature
    fewest_draws: int = 2000
    most_draws: int = 10_000
    fewest_of_many_taxa: int = 200
