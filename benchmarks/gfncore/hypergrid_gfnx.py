"""gfnx's side of `benchmarks.gfncore.hypergrid_speed`, for an interpreter that has gfnx and optax.

Reads the weights that training starts from, and then orders from standard input, "train N" or
"draw N"; answers each with processor seconds and transitions, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial

import gfnx  # pyright: ignore[reportMissingImports]
import jax  # pyright: ignore[reportMissingImports]
import jax.numpy as jnp  # pyright: ignore[reportMissingImports]
import numpy as np
import optax  # pyright: ignore[reportMissingImports]
from gfnx.reward import GeneralHypergridRewardModule  # pyright: ignore[reportMissingImports]

__all__ = ["main"]


def main(weights: str, side: int, batch: int, epsilon: float, rate: float, z_rate: float) -> None:
    """Obey orders until the input ends."""
    environment = gfnx.HypergridEnvironment(GeneralHypergridRewardModule(0.1, 0.5, 2.0), 2, side)
    settings = environment.init(jax.random.PRNGKey(0))
    start = np.load(weights)
    parameters = {name: jnp.asarray(start[name]) for name in start.files}
    rates = {name: "log_z" if name == "log_z" else "network" for name in parameters}
    optimiser = optax.multi_transform(
        {"network": optax.adam(rate), "log_z": optax.adam(z_rate)}, rates
    )

    def network(parameters, x):
        h = jax.nn.relu(x @ parameters["w0"] + parameters["b0"])
        h = jax.nn.relu(h @ parameters["w1"] + parameters["b1"])
        return h @ parameters["w2"] + parameters["b2"]

    def explored(key, x, parameters):
        logits = network(parameters, x)
        uniform = jax.random.uniform(key, (len(x), 1)) < epsilon
        return jnp.where(uniform, 0.0, logits), {}

    def drawn(key, parameters):
        return gfnx.utils.forward_rollout(key, batch, explored, parameters, environment, settings)

    def flat(tree):
        return jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), tree)

    def loss(parameters, steps):
        here = steps.pad.shape
        illegal = environment.get_invalid_mask(flat(steps.state), settings)
        log_p = jax.nn.log_softmax(network(parameters, flat(steps.obs)), where=~illegal, axis=-1)
        log_pf = jnp.take_along_axis(log_p, steps.action.reshape(-1, 1), 1).reshape(here)
        # a step that stops has one parent; another as many as the next state has entries above 0
        moved = steps.action < 2
        after = steps.state.state + jax.nn.one_hot(steps.action, 2, dtype=jnp.int32)
        parents = jnp.where(moved, (after > 0).sum(-1), 1)
        log_pb = -jnp.log(parents)
        log_ratio = jnp.where(steps.pad, 0.0, log_pf - log_pb).sum(1)
        log_reward = jnp.where(steps.pad, 0.0, steps.log_gfn_reward).sum(1)
        return ((parameters["log_z"] + log_ratio - log_reward) ** 2).mean()

    @partial(jax.jit, donate_argnums=(1, 2))
    def train(key, parameters, state):
        steps, facts = drawn(key, parameters)
        value, gradient = jax.value_and_grad(loss)(parameters, steps)
        change, state = optimiser.update(gradient, state, parameters)
        return optax.apply_updates(parameters, change), state, facts["trajectory_length"], value

    @jax.jit
    def draw(key, parameters):
        return drawn(key, parameters)[1]["trajectory_length"]

    key, state = jax.random.PRNGKey(1), optimiser.init(parameters)
    for order in sys.stdin:
        action, _, number = order.strip().partition(" ")
        began, count, value = time.process_time(), 0, 0.0
        for _ in range(int(number)):
            key, own = jax.random.split(key)
            if action == "train":
                parameters, state, lengths, value = train(own, parameters, state)
            else:
                lengths = draw(own, parameters)
            count += int(lengths.sum())
        answer = {"seconds": time.process_time() - began, "states": count, "loss": float(value)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *map(float, sys.argv[4:7]))
