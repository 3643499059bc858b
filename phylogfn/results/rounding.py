"""Numbers with no more digits than their standard errors support."""

from __future__ import annotations

import math

__all__ = ["decimals", "rounded", "significant"]

MOST_DECIMALS = 12


def decimals(error: float, most: int = MOST_DECIMALS) -> int:
    """Return the number of decimals that show the first two digits of a standard error.

    Parameters
    ----------
    error : float
        NaN and infinity have no decimals; 0 has the most.
    most : int
        Maximum.

    Examples
    --------
    >>> [decimals(error) for error in (0.0123, 0.5, 3.0, 40.0, 0.0)]
    [3, 2, 1, 0, 12]
    """
    if not math.isfinite(error):
        return 0
    if error <= 0.0:
        return most
    return min(max(1 - math.floor(math.log10(error)), 0), most)


def rounded(value: float, error: float, most: int = MOST_DECIMALS) -> str:
    """Return a value in plain or scientific notation, with the digits that its error supports.

    At least one non-zero digit is shown, and two if the error is not finite.

    Parameters
    ----------
    value, error : float
    most : int
        Maximum number of decimals.

    Examples
    --------
    >>> rounded(0.929034, 0.0012), rounded(3.214e-7, 1.3e-8), rounded(0.5, math.nan)
    ('0.9290', '3.21e-07', '0.50')
    """
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g}"
    first = math.floor(math.log10(abs(value)))  # decimal place of the first digit
    shown = decimals(error, most) if math.isfinite(error) else 1 - first
    shown = max(shown, -first)
    if first < -4:
        return f"{value:.{max(shown + first, 0)}e}"
    return f"{value:.{max(shown, 0)}f}"


def significant(value: float, digits: int = 3) -> float:
    """Return a value rounded to a number of significant digits.

    Examples
    --------
    >>> significant(0.004501842)
    0.0045
    """
    return float(f"{value:.{digits - 1}e}") if math.isfinite(value) else value
