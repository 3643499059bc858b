"""Draws of one class of actions a row, from a flat list of probabilities."""

from __future__ import annotations

import numpy as np

from gfncore.environment import Actions

__all__ = ["draw_classes", "explored"]


def explored(
    log_p: np.ndarray, state_of_class: np.ndarray, n: int, epsilon: float, temperature: float
) -> np.ndarray:
    """Return sampling probabilities: tempered, then mixed with the uniform distribution.

    Parameters
    ----------
    log_p : ndarray, shape (C,), float64
        Log-probabilities of the classes, normalised in each state.
    state_of_class : ndarray, shape (C,), int64
    n : int
        Number of states.
    epsilon : float
        Share of the uniform distribution over a state's classes.
    temperature : float
        p is raised to 1/temperature and normalised again.

    Returns
    -------
    ndarray, shape (C,), float64
    """
    if temperature != 1.0:
        top = np.full(n, -np.inf)
        np.maximum.at(top, state_of_class, log_p)
        p = np.exp((log_p - top[state_of_class]) / temperature)
        p /= np.bincount(state_of_class, p, minlength=n)[state_of_class]
    else:
        p = np.exp(log_p)
    if epsilon > 0.0:
        count = np.bincount(state_of_class, minlength=n)
        p = (1.0 - epsilon) * p + epsilon / count[state_of_class]
    return p


def draw_classes(
    p: np.ndarray, actions: Actions, n: int, state: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Draw a class of actions by inversion for each entry of `state`, and return the classes.

    Parameters
    ----------
    p : ndarray, shape (C,), float64
        Non-negative; they are normalised within each state.
    actions : Actions
        Actions of `n` states, each with at least one class.
    n : int
    state : ndarray, shape (m,), int64
    generator : numpy Generator

    Returns
    -------
    ndarray, shape (m,), int64
        Rows in the list of classes.
    """
    ends = np.cumsum(actions.classes_per_state(n))
    starts = ends - actions.classes_per_state(n)
    totals = np.cumsum(p)
    low = np.where(starts > 0, totals[starts - 1], 0.0)
    high = totals[ends - 1]
    wanted = low[state] + generator.random(len(state)) * (high - low)[state]
    chosen = np.searchsorted(totals, wanted, side="right")
    return np.clip(chosen, starts[state], ends[state] - 1)
