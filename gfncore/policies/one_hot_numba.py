"""Choices on vectors of small integers, compiled: a step of sampling has few rows."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["choose", "distinct_rows", "first_layer"]


@njit(cache=True, nogil=True)
def first_layer(values, columns, shift):
    """relu of the sum of one column an entry.

    Parameters
    ----------
    values : ndarray, shape (m, d), int64
        Entries from 0 to base - 1.
    columns : ndarray, shape (d, base, H), float32
        Weights of each value of each entry.
    shift : ndarray, shape (H,), float32

    Returns
    -------
    ndarray, shape (m, H), float32
    """
    m, d = values.shape
    out = np.empty((m, len(shift)), np.float32)
    for i in range(m):
        for h in range(len(shift)):
            out[i, h] = shift[h]
        for k in range(d):
            column = columns[k, values[i, k]]
            for h in range(len(shift)):
                out[i, h] += column[h]
        for h in range(len(shift)):
            out[i, h] = max(out[i, h], np.float32(0.0))
    return out


@njit(cache=True, nogil=True)
def distinct_rows(rows):
    """Distinct rows in the order in which they first appear, by a hash table.

    Parameters
    ----------
    rows : ndarray, shape (m, d), int64

    Returns
    -------
    first : ndarray, shape (u,), int64
        The first place of each distinct row.
    inverse : ndarray, shape (m,), int64
        The number of each row among the distinct ones.
    """
    m, d = rows.shape
    size = 2
    while size < 2 * m:
        size *= 2
    mask = np.uint64(size - 1)
    table = np.full(size, -1, np.int64)  # numbers of distinct rows
    first = np.empty(m, np.int64)
    inverse = np.empty(m, np.int64)
    u = 0
    for i in range(m):
        word = np.uint64(0x9E3779B97F4A7C15)
        for k in range(d):
            word = (word ^ np.uint64(rows[i, k])) * np.uint64(0xD6E8FEB86659FD93)
            word ^= word >> np.uint64(32)
        place = word & mask
        while True:
            known = table[place]
            if known < 0:
                table[place] = u
                first[u] = i
                inverse[i] = u
                u += 1
                break
            same = True
            for k in range(d):
                if rows[first[known], k] != rows[i, k]:
                    same = False
                    break
            if same:
                inverse[i] = known
                break
            place = (place + np.uint64(1)) & mask
    return first[:u].copy(), inverse


@njit(cache=True, nogil=True)
def choose(logits, legal, row, uniform, epsilon, temperature):
    """Draw an action for each walker by inversion.

    Parameters
    ----------
    logits : ndarray, shape (u, A), float32
    legal : ndarray, shape (u, A), bool
        At least one action of each row.
    row : ndarray, shape (m,), int64
        Row of each walker.
    uniform : ndarray, shape (m,), float64
        Uniform random numbers in [0, 1).
    epsilon, temperature : float
        The choice is drawn from (1 - epsilon) p^(1/temperature) / norm + epsilon (uniform).

    Returns
    -------
    action : ndarray, shape (m,), int64
    log_p : ndarray, shape (m,), float64
        log p of the action, without epsilon and temperature.
    """
    u, n_actions = logits.shape
    log_p = np.empty((u, n_actions))
    ends = np.empty((u, n_actions))  # cumulative sampling probabilities
    for s in range(u):
        top, count = -np.inf, 0
        for a in range(n_actions):
            if legal[s, a]:
                top, count = max(top, np.float64(logits[s, a])), count + 1
        total = tempered = 0.0
        for a in range(n_actions):
            if legal[s, a]:
                total += math.exp(np.float64(logits[s, a]) - top)
                tempered += math.exp((np.float64(logits[s, a]) - top) / temperature)
        log_total, end = math.log(total), 0.0
        for a in range(n_actions):
            log_p[s, a] = -np.inf
            if legal[s, a]:
                log_p[s, a] = np.float64(logits[s, a]) - top - log_total
                p = math.exp((np.float64(logits[s, a]) - top) / temperature) / tempered
                end += (1.0 - epsilon) * p + epsilon / count
            ends[s, a] = end
    m = len(row)
    action = np.empty(m, np.int64)
    chosen_log_p = np.empty(m)
    for i in range(m):
        s = row[i]
        wanted = uniform[i] * ends[s, n_actions - 1]
        chosen = -1
        for a in range(n_actions):
            if legal[s, a]:
                chosen = a  # the last legal one, if rounding leaves none
                if wanted < ends[s, a]:
                    break
        action[i] = chosen
        chosen_log_p[i] = log_p[s, chosen]
    return action, chosen_log_p
