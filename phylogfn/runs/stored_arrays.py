"""Checks of topologies, tables and replicas that a checkpoint holds, before a kernel sees them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gfncore.errors import UserError
from gfncore.training.array_forms import ArrayForm, check_arrays
from phylogfn.kernels.topology_numba import children_batch

__all__ = ["check_parameters", "check_parsimony_state", "check_sample_state", "check_topologies"]

_MOST = 1e9  # visits and draws

_TABLE = {
    "table/parents": ArrayForm("int16", ("rows", "nodes"), -1, "nodes"),
    "table/lengths": ArrayForm("float32", ("rows", "nodes"), 0.0),
    "table/log_evidence": ArrayForm("float64", ("rows",)),
    "table/visits": ArrayForm("int64", ("rows",), 0, _MOST),
    "table/searches": ArrayForm("uint8", ("rows",), 0, 3),
    "table/log_q": ArrayForm("float64", ("rows",), infinite=True),
    "table/n_draws": ArrayForm("int64", (1,), 0, 1e15),
    "walkers/parent": ArrayForm("int32", ("replicas", "nodes"), -1, "nodes"),
    "walkers/children": ArrayForm("int32", ("replicas", "nodes", 2), -1, "nodes"),
    "walkers/lengths": ArrayForm("float64", ("replicas", "nodes"), 0.0),
    "walkers/highest": ArrayForm("float64", ("replicas",), infinite=True),
    "walkers/idle": ArrayForm("int64", ("replicas",), 0, _MOST),
    "walkers/ends": ArrayForm("float64", ("ends",)),
    "walkers/age": ArrayForm("int64", ("replicas",), 0, _MOST),
    "walkers/log_evidence": ArrayForm("float64", ("replicas",)),
    "walkers/row": ArrayForm("int64", ("replicas",), 0, "rows"),
}
_SCORES = {
    "table/parents": ArrayForm("int16", ("rows", "nodes"), -1, "nodes"),
    "table/scores": ArrayForm("float64", ("rows",), 0.0),
}
_PILOTS = {
    "pilots/betas": ArrayForm("float64", ("betas",), 0.0),
    "pilots/ess": ArrayForm("float64", ("cycles", "betas"), 0.0),
    "pilots/parents": ArrayForm("int16", ("met", "nodes"), -1, "nodes"),
    "pilots/cycle": ArrayForm("int64", ("met",), 0, "cycles"),
    "pilots/place": ArrayForm("int64", ("met",), 0, "betas"),
    "pilots/log_weights": ArrayForm("float64", ("met",), infinite=True),
}
_CODES = {"codes": ArrayForm("uint64", ("taxa",)), "smoothing": ArrayForm("float64", (1,), 0.0)}
_RATES = {
    "total": {
        "table": ArrayForm("uint64", ("slots",)),
        "total": ArrayForm("float64", ("slots",), 0.0),
        "taken": ArrayForm("float64", ("slots",), 0.0),
    },
    "weight": {
        "table": ArrayForm("uint64", ("slots",)),
        "weight": ArrayForm("float64", ("slots",), 0.0),
    },
    "sums": {
        "table": ArrayForm("uint64", ("slots",)),
        "sums": ArrayForm("float64", ("slots", 3)),
        "overall": ArrayForm("float64", (2, 3)),
    },
}


def check_parameters(arrays: Mapping[str, np.ndarray], n_free: int, place: str) -> None:
    """Check the free parameters of the model, of which there are ``n_free``."""
    check_arrays(arrays, {"theta": ArrayForm("float64", (n_free,))}, place, {})


def check_sample_state(
    arrays: Mapping[str, np.ndarray], n_taxa: int, n_replicas: int, place: str
) -> None:
    """Check the arrays of a run of ``phylogfn sample``.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        As `phylogfn.runs.sample.state.RunState.save` stores them.
    n_taxa, n_replicas : int
        Taxa, and replicas of the searches.
    place : str
        For messages.

    Raises
    ------
    UserError
        An array is missing or of another form, or holds what is not a topology.
    """
    sizes = {"nodes": 2 * n_taxa - 2, "replicas": n_replicas}
    check_arrays(arrays, _TABLE, place, sizes)
    check_topologies(arrays["table/parents"], n_taxa, f"{place}: 'table/parents'")
    parents = arrays["walkers/parent"]
    check_topologies(parents, n_taxa, f"{place}: 'walkers/parent'")
    children = np.sort(arrays["walkers/children"], axis=2)
    if not np.array_equal(children, np.sort(children_batch(parents.astype(np.int16)), axis=2)):
        raise UserError(f"{place}: 'walkers/children' are not those of 'walkers/parent'")
    _check_order_and_rates(arrays, n_taxa, place)


def check_parsimony_state(arrays: Mapping[str, np.ndarray], n_taxa: int, place: str) -> None:
    """Check the arrays of a run of ``phylogfn parsimony``; see `check_sample_state`."""
    sizes = {"nodes": 2 * n_taxa - 2}
    check_arrays(arrays, _SCORES, place, sizes)
    check_topologies(arrays["table/parents"], n_taxa, f"{place}: 'table/parents'")
    if any(name.startswith("pilots/") for name in arrays):
        check_arrays(arrays, _PILOTS, place, sizes)
        check_topologies(arrays["pilots/parents"], n_taxa, f"{place}: 'pilots/parents'")
    _check_order_and_rates(arrays, n_taxa, place)


def check_topologies(parents: np.ndarray, n_taxa: int, place: str) -> None:
    """Check that arrays of parents are binary trees drawn at taxon 0.

    Parameters
    ----------
    parents : ndarray, shape (B, 2n-2), int
        Values from -1 to 2n - 3.
    n_taxa : int
    place : str
        For messages.

    Raises
    ------
    UserError
        One of them is not such a tree.
    """
    n_trees, n_nodes = parents.shape
    if not n_trees:
        return
    wide = parents.astype(np.int64)
    flat = (wide[:, 1:] + np.arange(n_trees)[:, None] * n_nodes).ravel()
    good = bool((wide[:, 0] == -1).all() and (wide[:, 1:] >= 0).all())
    if good:
        degrees = np.bincount(flat, minlength=n_trees * n_nodes).reshape(n_trees, n_nodes)
        wanted = np.where(np.arange(n_nodes) < n_taxa, 0, 2)
        wanted[0] = 1
        good = bool((degrees == wanted).all())
    if good:  # every node leads to taxon 0: its ancestors by doubled steps
        above = np.where(wide < 0, 0, wide)
        for _ in range(n_nodes.bit_length()):
            above = np.take_along_axis(above, above, axis=1)
        good = not above.any()
    if not good:
        raise UserError(f"{place}: not all are binary trees of {n_taxa} taxa")


def _check_order_and_rates(arrays: Mapping[str, np.ndarray], n_taxa: int, place: str) -> None:
    if "order" in arrays:
        check_arrays(arrays, {"order": ArrayForm("int64", ("taxa",))}, place, {"taxa": n_taxa})
        if not np.array_equal(np.sort(arrays["order"]), np.arange(n_taxa)):
            raise UserError(f"{place}: 'order' is not an order of the {n_taxa} taxa")
    if "features/mean" in arrays or "features/basis" in arrays:
        forms = {
            "features/mean": ArrayForm("float32", ("values",)),
            "features/basis": ArrayForm("float32", ("values", "width")),
        }
        check_arrays(arrays, forms, place, {})
    for prefix in ("rates/", "length_rates/"):
        found = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        if not found:
            continue
        kind = next((key for key in _RATES if key in found), "total")
        forms = {f"{prefix}{name}": form for name, form in (_CODES | _RATES[kind]).items()}
        slots = check_arrays(arrays, forms, place, {"taxa": n_taxa})["slots"]
        # kernels look on from slot to slot until one is empty, and wrap by a mask
        if slots & (slots - 1) or not slots or arrays[f"{prefix}table"].all():
            raise UserError(f"{place}: '{prefix}table' is not a table of 2^k places, one empty")
