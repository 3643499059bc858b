"""How much a run of ``molgen sample`` trains and draws, and when that is enough."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SampleEffort"]


@dataclass(frozen=True)
class SampleEffort:
    """Numbers that decide how long the parts of a run take; tests make them small."""

    # Policy (`molgen.policy.make_policy`)
    hidden: int = 64
    rounds: int = 3

    # Training
    on_policy: int = 32  # trajectories a step
    replayed: int = 64
    block: int = 10  # steps between looks at the clock
    fewest_steps: int = 400
    calls_kept: float = 2.0  # calls a molecule of the library that training leaves for the draws
    calls_share_kept: float = 0.25  # share of all calls that it leaves for them, if that is more
    mostly_failed: float = 0.5  # share of the first block's scores, from which the user is told
    hardly_trained: int = 20  # steps of training below which the user is told
    checkpoint_seconds: float = 30.0

    # Judging the sampler
    pilot_every: int = 10  # blocks
    pilot: int = 512  # draws
    accurate_share: float = 0.8  # effective share of these draws at which training ends
    modes_every: int = 10  # blocks between counts of modes
    modes_among: int = 1000  # best molecules in which they are counted during training

    # Draws for the library
    draw_batch: int = 500
    fewest_in_batch: int = 16  # where scores are slow
    most_draws_at_once: int = 10  # draws a molecule of the library, at most, in a batch
    most_draws: int = 40  # draws a molecule of the library, at most
    effective_draws: float = 0.5  # effective draws a molecule of the library that are enough

    # Local changes: walkers in training, and a check of the library
    walkers: int = 32  # scored in each step, beside `on_policy`
    walker_levels: tuple[float, ...] = (1.0,)  # inverse temperatures of walkers that exchange
    local_steps: int = 6  # of building that are undone, at most
    local_epsilon: float = 0.1  # the policy that rebuilds is softened
    local_temperature: float = 1.5
    control_molecules: int = 256
    fewest_control_molecules: int = 20
    control_rounds: int = 8
    control_calls: float = 0.05  # share of all oracle calls, at most

    # Shares of the budget
    start_share: float = 0.03  # maximum of the first draws
    train_share: float = 0.75  # after which training ends
    batch_share: float = 0.1  # maximum of a batch of draws
    draws_share: float = 0.93  # after which the draws end
    control_share: float = 0.97  # until which the library is checked
    probabilities_share: float = 1.02  # after which no more probabilities are refined
