"""Keys of topologies that do not depend on how their nodes are numbered."""

from __future__ import annotations

import numpy as np

__all__ = ["taxon_codes"]

_CODES_SEED = 20240229  # any fixed number: keys must agree between runs that share a checkpoint


def taxon_codes(n_taxa: int) -> np.ndarray:
    """Return fixed random codes of the taxa, shape (n_taxa, 2), uint64."""
    rng = np.random.default_rng(_CODES_SEED)
    return rng.integers(0, 2**64, size=(n_taxa, 2), dtype=np.uint64)
