"""Replay: the objects met so far, each kept once, with their rewards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gfncore.environment import Environment, state_arrays
from gfncore.keys import key_bytes, unique_keys
from gfncore.tempering import TemperedEnvironment

__all__ = ["Replay", "TemperedReplay"]

TEMPERED_SHARE = 0.5  # of the draws of a `TemperedReplay`
TOP_SHARE = 0.1  # a prioritised draw takes half of its objects from this share of the best


class Replay:
    """Terminal states, unique by canonical key, with log reward.

    Parameters
    ----------
    environment : Environment
    capacity : int
        When full, the objects with the lowest reward are dropped.
    prioritised : bool
        Draw half of the objects from the best tenth and half from all
        (Shen et al. 2023, arXiv:2305.07170); otherwise all uniformly.
    """

    def __init__(
        self, environment: Environment, capacity: int = 100_000, prioritised: bool = True
    ) -> None:
        self.environment = environment
        self.capacity = capacity
        self.prioritised = prioritised
        self.states: Any = environment.initial(0)
        self.log_reward = np.zeros(0)
        self._known: set[bytes] = set()

    def __len__(self) -> int:
        return len(self.log_reward)

    def add(self, states: Any, log_reward: np.ndarray) -> int:
        """Keep what is not known yet; returns how many were new.

        Parameters
        ----------
        states : States
            n terminal states.
        log_reward : ndarray, shape(n,), dtype=float64
        """
        keys = self.environment.keys(states)
        first, _ = unique_keys(keys)
        names = key_bytes(keys[first])
        new = [i for i, name in zip(first, names, strict=True) if name not in self._known]
        if not new:
            return 0
        self._known.update(names)
        rows = np.sort(np.array(new, dtype=np.int64))
        self.states = type(self.states).concat([self.states, states.take(rows)])
        self.log_reward = np.concatenate([self.log_reward, log_reward[rows]])
        if len(self) > self.capacity:
            order = np.argsort(-self.log_reward, kind="stable")
            keep, drop = np.sort(order[: self.capacity]), order[self.capacity :]
            self._known.difference_update(key_bytes(self.environment.keys(self.states.take(drop))))
            self.states, self.log_reward = self.states.take(keep), self.log_reward[keep]
        return len(new)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the content: the arrays of the states by their names, and ``log_reward``."""
        return state_arrays(self.states) | {"log_reward": self.log_reward}

    def load_arrays(self, stored: dict[str, np.ndarray]) -> None:
        """Replace the content by what `arrays` returned.

        Raises
        ------
        ValueError
            The arrays do not fit one another or the environment.
        """
        log_reward = stored["log_reward"]
        n = log_reward.shape[0] if log_reward.ndim == 1 else -1
        for name, own in self.arrays().items():
            array = stored[name]
            # sizes behind the first are those of the environment, or grow with the largest object
            if array.dtype != own.dtype or array.ndim != own.ndim or len(array) != n:
                raise ValueError(
                    f"the replay's '{name}' is {array.dtype} {array.shape}, which does not fit its "
                    f"{n} objects"
                )
        states = {name: array for name, array in stored.items() if name != "log_reward"}
        self.states = replace(self.environment.initial(0), **states)
        self.log_reward = log_reward
        self._known = set(key_bytes(self.environment.keys(self.states)))

    def draw(self, n: int, generator: np.random.Generator) -> tuple[Any, np.ndarray]:
        """`n` objects with replacement, and their log rewards; the replay must not be empty."""
        rows = generator.integers(len(self), size=n)
        if self.prioritised:
            top = max(1, int(TOP_SHARE * len(self)))
            best = np.argpartition(-self.log_reward, top - 1)[:top]
            half = n // 2
            rows[:half] = np.sort(best)[generator.integers(top, size=half)]
        return self.states.take(rows), self.log_reward[rows]


class TemperedReplay(Replay):
    """Replay of objects for trajectories of many temperatures, without temperature in itself.

    Half of what is drawn is in proportion to R^beta at the temperature that the object will have:
    with a high beta few objects have nearly all of the probability, and uniform draws, or the best
    tenth, hardly ever contain them. The other half is drawn as in `Replay`. The state that stands
    for an object of several has its log R, corrections of counts included: the distribution of
    trajectories need not be exact in training.

    Parameters
    ----------
    environment : TemperedEnvironment
        That of the training: its temperatures are given to the objects in turn.
    capacity : int
    prioritised : bool
        As in `Replay`.
    """

    def __init__(
        self, environment: TemperedEnvironment, capacity: int = 100_000, prioritised: bool = True
    ) -> None:
        super().__init__(environment.inner, capacity, prioritised)
        self.tempered = environment

    def draw(self, n: int, generator: np.random.Generator) -> tuple[Any, np.ndarray]:
        """`n` objects with replacement, and their log rewards; the replay must not be empty."""
        objects, log_reward = super().draw(n, generator)
        rows = np.full(n, -1)
        betas = self.tempered.inverse_temperatures
        for i, beta in enumerate(betas):
            place = np.arange(i, n, len(betas))
            place = place[generator.random(len(place)) < TEMPERED_SHARE]
            total = np.cumsum(np.exp(beta * (self.log_reward - self.log_reward.max())))
            drawn = np.searchsorted(total, generator.random(len(place)) * total[-1], side="right")
            rows[place] = np.minimum(drawn, len(total) - 1)
        chosen = rows >= 0
        both = type(objects).concat([objects, self.states.take(rows[chosen])])
        source = np.arange(n)
        source[chosen] = n + np.arange(chosen.sum())
        return both.take(source), np.where(chosen, self.log_reward[rows], log_reward)
