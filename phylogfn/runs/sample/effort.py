"""How much a run of ``phylogfn sample`` walks, trains and draws, and when that is enough."""

from __future__ import annotations

from dataclasses import dataclass

from phylogfn.estimates.lengths.drawing import FEWEST_DRAWS
from phylogfn.estimates.lengths.pilots import MOST_DRAWS
from phylogfn.training import random_trees

__all__ = ["Aims", "SampleEffort"]


@dataclass(frozen=True)
class Aims:
    """How a sampler is trained and judged, and when it is good enough.

    Attributes
    ----------
    cycle_steps : int
        Steps of training in a cycle.
    pilot : int
        Draws that judge a cycle.
    most_draws : int
        That the answer is computed from.
    standard_error : float
        Of log evidence, nats, with the most draws, at which training ends.
    effective_share : float
        Of the pilot's draws, at which training ends.
    missed : float
        Divergence from the known topologies to the sampler, nats, at which training ends.
    """

    cycle_steps: int
    pilot: int
    most_draws: int
    standard_error: float
    effective_share: float
    missed: float


@dataclass(frozen=True)
class SampleEffort:
    """Numbers that decide how long the parts of a run take; tests make them small."""

    collapsed: Aims = Aims(60, 2000, 20_000, standard_error=0.008, effective_share=0.5, missed=0.1)
    # trees drawn with their lengths, whose weights vary more and cost more
    with_lengths: Aims = Aims(120, 500, 8000, standard_error=0.03, effective_share=0.3, missed=1.0)

    # Shares of the budget after which a phase ends, at the latest when its smallest part is done
    starts_share: float = 0.1  # building starting trees
    fit_share: float = 0.2  # fitting the model's parameters
    walk_share: float = 0.35  # the first walk
    train_share: float = 0.82  # training: no new cycle begins, and the current one is cut short
    last_step_share: float = 0.86  # training: no further step or draw
    soften_share: float = 0.88  # the search for a temperature of the sampler
    draws_share: float = 0.98  # draws

    # Shares of the budget, the most that a part of a phase takes
    sweeps_share: float = 0.02  # Newton steps on the starting trees, when their time is up
    round_share: float = 0.05  # a round of blocks of the first walk, or all those beside a cycle
    pilot_share: float = 0.1  # draws that judge a cycle
    correction_share: float = 0.02  # first draws of branch lengths
    pool_share: float = 0.05  # draws of branch lengths for trees to learn from
    # left for posterior predictive checks, and for ancestral sequences, if there are any
    sequences_share: float = 0.06
    pooling_share: float = 0.05  # probabilities of the draws of a run under the sampler of another
    writing_share: float = 0.03  # left for the files when branch lengths are drawn
    lengths_share: float = 0.08  # draws of branch lengths, where the budget is used up
    # kept for draws of parameters and branch lengths, if the fewest of them take that long: the
    # shares of training and draws of topologies are then shares of the rest of the budget
    kept_share: float = 0.3
    # standard error of the log evidence, nats, that the sampler has to have with the most draws;
    # training takes half of the time that is kept if it has not
    good_enough: float = 0.03

    # Walks
    fewest_sweeps: int = 6  # Newton steps on starting trees
    walk_batch: int = 4  # rounds of blocks between looks at what was found
    walk_most: int = 140  # rounds of the first walk
    hits: int = 10  # scouts that reach the best topology before the first walk ends
    settled: float = 0.002  # share of the table's mass that two batches may add at its end
    cycle_rounds: int = 4  # of blocks walked beside each cycle of training
    disagreeing: int = 3  # times as many while the searches disagree

    # Training
    fewest_steps: int = 10  # of a cycle, even if the time is up
    fewest_cycles: int = 3
    rates_at_cycles: tuple[int, ...] = (0, 2, 5, 10)  # before which rates are counted anew
    own_draws_every: int = 6  # steps from one with own draws to the next, once there are any
    # of the budget, from which on the learning rates of merging fall to `last_rate` of what they
    # were: the noise of its histories is then averaged out. Insertion gained nothing by it
    settle_from: float = 0.45
    last_rate: float = 0.02
    first_guess: float = 1.0  # nats, of the evidence above the table's, before training
    correction_topologies: int = 64  # for the first correction of the closed form, if time allows
    correction_draws: int = 32  # of the lengths of each of them
    random_batch: int = random_trees.BATCH
    random_from_step: int = random_trees.FROM_STEP
    checkpoint_seconds: float = 30.0

    # Judging a cycle
    fewest_pilot: int = 64  # draws, where there is no time
    ranked: float = 0.98  # correlation of log q with log R over random trees, at the end
    topologies_judged: int = 300  # draws of known topologies that the divergence is measured on
    lengths_judged: int = 200  # trees of the teacher, with their lengths, that it is measured on

    # Answer
    temperatures: tuple[float, ...] = (1.0, 1.15, 1.3, 1.5)  # of the sampler, in this order
    sharp_enough: float = 0.5  # effective share at which no further temperature is tried
    fewest_draws: int = 2000
    fewest_in_haste: int = 64  # where the time for draws is up
    fewest_length_draws: int = FEWEST_DRAWS  # of lengths and parameters, for each model
    # time that they take in relation to that of the likelihoods alone, with peaks and pilot draws
    length_draws_factor: float = 2.0
    most_length_draws: int = MOST_DRAWS
    listed: int = 20_000  # topologies in the table of results, at most
