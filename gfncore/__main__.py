"""``python -m gfncore``: methods tried on small spaces, held against the exact distribution."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gfncore.errors import UserError
from gfncore.program.command_line import Flag, build_app, run_app

__all__ = ["main"]

_HELP = """Train samplers on small spaces and hold them against the exact distribution.

**Examples**

```
python -m gfncore try hypergrid --side 16 --objective sub_trajectory_balance
python -m gfncore try bits --bits 12 --word 2 --left-to-right --steps 2000
python -m gfncore try bags --backward learned --seed 3
```
"""
_EVERY = 0.1  # share of the steps between two lines

_Space = Literal["hypergrid", "bits", "bags"]


def _try(
    space: _Space,
    *,
    objective: str = "trajectory_balance",
    backward: str = "uniform",
    steps: int = 1000,
    batch: int = 64,
    replay: int = 0,
    epsilon: float = 0.05,
    walkers: int = 0,
    walker_levels: Annotated[list[float] | None, Parameter(consume_multiple=True)] = None,
    learning_rate: float = 5e-3,
    hidden: int = 64,
    seed: int = 0,
    side: int = 8,
    dimensions: int = 2,
    bits: int = 12,
    word: int = 2,
    left_to_right: Flag = False,
    size: int = 8,
    kinds: int = 5,
) -> None:
    """Train one sampler on one space and print how far it is from its target.

    Parameters
    ----------
    space
        hypergrid, bits (bit sequences) or bags (multisets).
    objective
        Training objective, as of the programs; maximum_likelihood learns from exact draws.
    backward
        Backward policy: uniform, learned (with the objective), maximum_entropy,
        trajectory_likelihood or pessimistic.
    steps
        Optimiser steps.
    batch
        Trajectories a step.
    replay
        Further trajectories a step, to objects drawn before.
    epsilon
        Share of uniform actions in training.
    walkers
        Further trajectories a step, to objects of as many Markov chains of local changes.
    walker_levels
        Their inverse temperatures, descending from 1: parallel tempering, as in 1 0.6 0.3.
    learning_rate
        At the first step; it falls to zero.
    hidden
        Width of the network.
    seed
        Of the network and of all draws.
    side
        Of a hypergrid.
    dimensions
        Of a hypergrid.
    bits
        Of a bit sequence.
    word
        Bits that one action writes.
    left_to_right
        Write bit sequences from left to right, instead of in any order.
    size
        Items of a bag.
    kinds
        Kinds of items.
    """
    import torch

    from gfncore.spaces import Bags, BitSequences, Hypergrid, VectorSpace
    from gfncore.trials import MethodSettings, run_trial

    settings = MethodSettings(
        objective,
        backward,
        steps,
        batch,
        replay,
        epsilon,
        walkers,
        (1.0,) if walker_levels is None else tuple(walker_levels),
        learning_rate=learning_rate,
    )
    for name, value in (("steps", steps), ("batch", batch), ("hidden", hidden)):
        if value < 1:
            raise UserError(f"--{name} is {value}, but must be at least 1")
    if not 0.0 <= epsilon < 1.0 or min(replay, walkers, seed) < 0 or not learning_rate > 0.0:
        raise UserError(
            "--epsilon must be at least 0 and below 1, --replay, --walkers and --seed not "
            "negative, and --learning-rate above 0"
        )
    try:
        made: VectorSpace
        if space == "hypergrid":
            made = Hypergrid(side, dimensions)
        elif space == "bits":
            made = BitSequences(bits, word, any_order=not left_to_right)
        else:
            made = Bags(size, kinds)
    except ValueError as error:
        raise UserError(str(error)) from None
    every = max(round(_EVERY * steps), 1)

    def tell(metrics: dict[str, Any]) -> None:
        if metrics["step"] % every == 0:
            log_z = "" if metrics["log_z"] is None else f"  log Z {metrics['log_z']:.4f}"
            print(f"step {metrics['step']:,}  loss {metrics['loss']:.3g}{log_z}", file=sys.stderr)

    torch.manual_seed(seed)

    def make_policy(flow: bool, backward: bool) -> Any:
        return made.make_policy(hidden, flow=flow, backward=backward)

    found = run_trial(made, make_policy, settings, seed, tell)
    print(f"objects\t{found.n_objects}")
    print(f"total_variation\t{found.total_variation:.5f}")
    print(f"log_z\t{found.log_z:.5f}")
    print(f"learned_log_z\t{found.learned_log_z:.5f}")
    print(f"estimated_log_z\t{found.estimated_log_z:.5f}")
    print(f"estimated_log_z_se\t{found.standard_error:.5f}")
    print(f"effective_share\t{found.effective_share:.4f}")
    print(f"mass_found\t{found.mass_found:.5f}")
    print(f"calls\t{found.calls}")
    print(f"seconds\t{found.seconds:.1f}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code (`gfncore.program.command_line.run_app`)."""
    app = build_app("python -m gfncore", _HELP, ())
    app.command(_try, name="try")
    return run_app("python -m gfncore", app, arguments)


if __name__ == "__main__":
    sys.exit(main())
