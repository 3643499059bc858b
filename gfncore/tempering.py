"""An environment at many inverse temperatures.

A state is a state of the inner environment with an inverse temperature beta, which is constant from
s_0 to the object x. A policy that is conditioned on log beta (`gfncore.policies.conditioning`) then
learns P(x | beta) = R(x)^beta / Z(beta) for a range of beta (Kim et al. 2024, arXiv:2310.02823),
with several temperatures in each batch.

The inner log R of a terminal state is log R(x) + c, where c corrects for counting
(`Environment.log_count_correction`; -log m if m states are the object x). Only the reward is
tempered:

    beta log R(x) + c = beta (log R(x) + c) + (1 - beta) c

Otherwise an object of m states would be drawn in proportion to m^(1 - beta) R(x)^beta.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from gfncore.environment import Actions, Environment, Stepped
from gfncore.graph_batch import GraphBatch

__all__ = ["TemperatureRange", "TemperedEnvironment", "TemperedStates"]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class TemperedStates:
    """States of the environment inside, each with its inverse temperature.

    Attributes
    ----------
    inner : States
        B states.
    inverse_temperature : ndarray, shape (B,), float64
        beta > 0.
    """

    inner: Any
    inverse_temperature: np.ndarray

    def __len__(self) -> int:
        return len(self.inverse_temperature)

    def take(self, index: np.ndarray) -> TemperedStates:
        """Return the given rows as a new batch."""
        return TemperedStates(self.inner.take(index), self.inverse_temperature[index])

    @staticmethod
    def concat(parts: Sequence[TemperedStates]) -> TemperedStates:
        """Concatenate several batches into one."""
        return TemperedStates(
            type(parts[0].inner).concat([part.inner for part in parts]),
            np.concatenate([part.inverse_temperature for part in parts]),
        )


def _scattered(x: np.ndarray) -> np.ndarray:
    """Apply the finaliser of splitmix64 (Steele et al. 2014), a bijection of 64-bit numbers."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _tempered_keys(keys: np.ndarray, inverse_temperature: np.ndarray) -> np.ndarray:
    """Return keys that also distinguish temperatures, by an offset for each; uint64 (B, 2)."""
    bits = np.ascontiguousarray(inverse_temperature, np.float64).view(np.uint64)
    offset = _scattered(bits + GOLDEN)
    return keys + np.stack([offset, _scattered(offset + GOLDEN)], axis=1)


def _checked(inverse_temperatures: Any) -> np.ndarray:
    values = np.atleast_1d(np.asarray(inverse_temperatures, np.float64))
    if values.ndim != 1 or not len(values):
        raise ValueError(f"inverse temperatures have shape {values.shape}, but are one list")
    wrong = values[~(np.isfinite(values) & (values > 0.0))]
    if len(wrong):
        raise ValueError(f"an inverse temperature is {wrong[0]}, but must be positive and finite")
    return values


class TemperedEnvironment(Environment):
    """`inner` with a reward of R^beta, for several beta. Its actions carry no values.

    Parameters
    ----------
    inner : Environment
    inverse_temperatures : float or sequence of float
        beta of the states s_0: state i of ``initial(n)`` has number i modulo their number.

    Raises
    ------
    ValueError
        If a temperature is not positive and finite, or there is none.
    TypeError
        If the actions of `inner` carry values.
    """

    is_conditioned = True

    def __init__(self, inner: Environment, inverse_temperatures: Any) -> None:
        if inner.carries_values:
            raise TypeError("temperatures require discrete actions, but these carry values")
        self._inner = inner
        self.is_tree = inner.is_tree
        self.set_temperatures(inverse_temperatures)

    @property
    def inner(self) -> Environment:
        """The environment inside, which knows of no temperature."""
        return self._inner

    @property
    def inverse_temperatures(self) -> np.ndarray:
        """beta of the states s_0; float64 (K,)."""
        return self._inverse_temperatures

    def set_temperatures(self, inverse_temperatures: Any) -> None:
        """Let the states s_0 have these inverse temperatures, in turn."""
        self._inverse_temperatures = _checked(inverse_temperatures)

    def at(self, inverse_temperatures: Any) -> TemperedEnvironment:
        """Return an environment around the same inner one at other temperatures."""
        return TemperedEnvironment(self.inner, inverse_temperatures)

    def condition(self, states: TemperedStates) -> np.ndarray:
        """Return log beta of each state; float64 (B,)."""
        return np.log(states.inverse_temperature)

    def without_temperature(self, states: TemperedStates) -> Any:
        """Return the states of `inner`."""
        return states.inner

    def with_temperature(self, states: Any, inverse_temperatures: Any = None) -> TemperedStates:
        """Return states of `inner`, each with a temperature.

        Parameters
        ----------
        states : States
            B states of `inner`, e.g. from replay.
        inverse_temperatures : float or array_like, shape(B,), optional
            None: those of the environment in turn, as in `initial`.
        """
        if inverse_temperatures is None:
            known = self.inverse_temperatures
            return TemperedStates(states, known[np.arange(len(states)) % len(known)])
        values = _checked(inverse_temperatures)
        return TemperedStates(states, np.broadcast_to(values, len(states)).copy())

    def initial(self, n: int) -> TemperedStates:
        """Return `n` states s_0, with the temperatures in turn."""
        return self.with_temperature(self.inner.initial(n))

    def is_terminal(self, states: TemperedStates) -> np.ndarray:
        """Return whether states are finished objects."""
        return self.inner.is_terminal(states.inner)

    def forward_actions(self, states: TemperedStates) -> Actions:
        """Delegate to the inner environment."""
        return self.inner.forward_actions(states.inner)

    def step(self, states: TemperedStates, action: np.ndarray) -> Stepped:
        """Delegate to the inner environment; the temperature does not change."""
        inner, inverse, _ = self.inner.step(states.inner, action)
        return Stepped(TemperedStates(inner, states.inverse_temperature), inverse)

    def backward_actions(self, states: TemperedStates) -> Actions:
        """Delegate to the inner environment."""
        return self.inner.backward_actions(states.inner)

    def backstep(self, states: TemperedStates, action: np.ndarray) -> Stepped:
        """Delegate to the inner environment; the temperature does not change."""
        inner, inverse, _ = self.inner.backstep(states.inner, action)
        return Stepped(TemperedStates(inner, states.inverse_temperature), inverse)

    def _conditioned(self, states: TemperedStates, draw: Callable[[Any], GraphBatch]) -> GraphBatch:
        condition = torch.from_numpy(self.condition(states).astype(np.float32))
        return replace(draw(states.inner), condition=condition)

    def graph(self, states: TemperedStates) -> GraphBatch:
        """Return the graph of the inner environment, with log beta as its condition."""
        _, group = np.unique(states.inverse_temperature, return_inverse=True)
        return self._conditioned(states, lambda inner: self.inner.graph_apart(inner, group))

    def backward_graph(self, states: TemperedStates) -> GraphBatch:
        """Return the inner backward graph, with log beta as its condition."""
        return self._conditioned(states, self.inner.backward_graph)

    def log_reward(self, states: TemperedStates) -> np.ndarray:
        """Return log R at the temperature of each object in nats; float64 (B,)."""
        return self.temper(states, self.inner.log_reward(states.inner))

    def temper(self, states: TemperedStates, log_reward: np.ndarray) -> np.ndarray:
        """Return beta log R of objects, from log R of `inner`; counts are not tempered."""
        counts = self.log_count_correction(states)
        return states.inverse_temperature * (log_reward - counts) + counts

    def log_count_correction(self, states: TemperedStates) -> np.ndarray:
        """Delegate to the inner environment: counts have no temperature."""
        return self.inner.log_count_correction(states.inner)

    def energy(self, states: TemperedStates) -> np.ndarray | None:
        """Return beta times the energy of the inner environment; None if there is none."""
        energy = self.inner.energy(states.inner)
        return None if energy is None else states.inverse_temperature * energy

    def stop_actions(self, states: TemperedStates) -> np.ndarray | None:
        """Return those of the inner environment."""
        return self.inner.stop_actions(states.inner)

    def keys(self, states: TemperedStates) -> np.ndarray:
        """Return keys of the inner state and beta; uint64 (B, 2)."""
        return _tempered_keys(self.inner.keys(states.inner), states.inverse_temperature)

    def labels(self, states: TemperedStates) -> np.ndarray:
        """Return labels of the state inside and beta; uint64 (B, 2)."""
        return _tempered_keys(self.inner.labels(states.inner), states.inverse_temperature)

    def log_scale(self, states: TemperedStates) -> np.ndarray:
        """Delegate to the inner environment: the correction of action counts has no temperature."""
        return self.inner.log_scale(states.inner)

    @property
    def has_objectives(self) -> bool:
        """Delegate to the inner environment."""
        return self.inner.has_objectives

    def objectives(self, states: TemperedStates) -> np.ndarray:
        """Delegate to the inner environment."""
        return self.inner.objectives(states.inner)


@dataclass(frozen=True)
class TemperatureRange:
    """Inverse temperatures for one step of training after another: log-uniform, and stratified.

    Attributes
    ----------
    lowest, highest : float
        Bounds of beta; 0 < lowest <= highest.
    number : int
        Temperatures of one step, one in each of as many equal parts of the range of log beta.
    """

    lowest: float
    highest: float
    number: int = 8

    def __post_init__(self) -> None:
        if not 0.0 < self.lowest <= self.highest < np.inf:
            raise ValueError(
                f"inverse temperatures are from {self.lowest} to {self.highest}, "
                "but must be positive and in this order"
            )
        if self.number < 1:
            raise ValueError(f"number of temperatures is {self.number}, but must be at least 1")

    def draw(self, generator: np.random.Generator) -> np.ndarray:
        """Draw beta for one step; float64 (number,)."""
        low, high = np.log(self.lowest), np.log(self.highest)
        share = (np.arange(self.number) + generator.random(self.number)) / self.number
        return np.exp(low + (high - low) * share)
