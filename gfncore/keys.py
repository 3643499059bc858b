"""Grouping of 128-bit state keys."""

from __future__ import annotations

import numpy as np

__all__ = ["key_bytes", "unique_keys"]


def unique_keys(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct keys of a batch.

    Parameters
    ----------
    keys : ndarray, shape (B, 2), uint64

    Returns
    -------
    first : ndarray, shape (U,), int64
        A row of each distinct key (its first one).
    inverse : ndarray, shape (B,), int64
        For each row, the number of its key among the distinct ones.
    """
    n = len(keys)
    if n == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    ranked = keys[order]
    new = np.ones(n, dtype=bool)
    new[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    inverse = np.empty(n, np.int64)
    inverse[order] = np.cumsum(new) - 1
    return order[new], inverse


def key_bytes(keys: np.ndarray) -> list[bytes]:
    """Return keys as hashable 16-byte strings, one for each row of the uint64 (B, 2) array."""
    data = np.ascontiguousarray(keys, dtype=np.uint64).tobytes()
    return [data[16 * i : 16 * (i + 1)] for i in range(len(keys))]
