"""Forms of stored arrays: type, shape and range, checked before a compiled kernel sees them.

Kernels do not check their indices: one that is out of range ends the interpreter, or gives another
answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gfncore.errors import UserError

__all__ = ["ArrayForm", "check_arrays"]


@dataclass(frozen=True)
class ArrayForm:
    """What a stored array must be.

    Attributes
    ----------
    dtype : str
        Such as ``"int16"``.
    shape : tuple of int or str
        Sizes; a name stands for the same size wherever it appears.
    low, high : float, optional
        Smallest and largest value; a name stands for one less than that size, for indices.
    infinite : bool
        Whether -inf is a value (of logarithms); NaN and +inf never are.
    """

    dtype: str
    shape: tuple[int | str, ...]
    low: float | None = None
    high: float | str | None = None
    infinite: bool = False


def check_arrays(
    arrays: Mapping[str, np.ndarray],
    forms: Mapping[str, ArrayForm],
    place: str,
    sizes: Mapping[str, int],
) -> dict[str, int]:
    """Check arrays against their forms.

    Parameters
    ----------
    arrays : mapping of str to ndarray
    forms : mapping of str to ArrayForm
        In an order in which each named size is met in a shape before it is a bound.
    place : str
        Where the arrays come from, for messages.
    sizes : mapping of str to int
        Named sizes that are known.

    Returns
    -------
    sizes : dict of str to int
        All named sizes.

    Raises
    ------
    UserError
        An array is missing, or of another form.

    Examples
    --------
    >>> rows = {"x": np.zeros((3, 2)), "row": np.array([2])}
    >>> forms = {
    ...     "x": ArrayForm("float64", ("N", 2)),
    ...     "row": ArrayForm("int64", (1,), 0, "N"),
    ... }
    >>> check_arrays(rows, forms, "file", {})
    {'N': 3}
    """
    sizes = dict(sizes)
    for name, form in forms.items():
        array = arrays.get(name)
        if array is None:
            raise UserError(f"{place}: the array '{name}' is missing")
        if str(array.dtype) != form.dtype:
            raise UserError(f"{place}: '{name}' is {array.dtype}, not {form.dtype}")
        if array.ndim == len(form.shape):
            for size, wanted in zip(array.shape, form.shape, strict=True):
                if isinstance(wanted, str):
                    sizes.setdefault(wanted, size)
        shape = tuple(sizes.get(size, -1) if isinstance(size, str) else size for size in form.shape)
        if array.shape != shape:
            raise UserError(f"{place}: '{name}' has shape {array.shape}, not {shape}")
        _check_values(array, name, form, place, sizes)
    return sizes


def _check_values(
    array: np.ndarray, name: str, form: ArrayForm, place: str, sizes: Mapping[str, int]
) -> None:
    if not array.size:
        return
    if array.dtype.kind == "f":
        low = array.min()  # NaN where there is one
        if np.isnan(low) or array.max() == np.inf or (low == -np.inf and not form.infinite):
            raise UserError(f"{place}: '{name}' has a value that is not finite")
    high = sizes[form.high] - 1 if isinstance(form.high, str) else form.high
    if (form.low is not None and array.min() < form.low) or (
        high is not None and array.max() > high
    ):
        raise UserError(
            f"{place}: '{name}' has values from {array.min()} to {array.max()}, "
            f"and {form.low} to {high} were expected"
        )
