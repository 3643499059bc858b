"""Numbers in user text: one strict form, a range, and a one-line error.

Python's own `int` and `float` accept underscores, digits of other scripts, blanks, ``nan`` and
``inf``, and `int` raises a different error for more than 4,300 digits. Here a number must be ASCII,
finite and within its range; otherwise `NumberError` states the text found.
"""

from __future__ import annotations

import math
import re

from gfncore.errors import UserError

__all__ = ["NumberError", "check_int", "parse_float", "parse_int", "shortened"]

_INTEGER = re.compile(r"([+-]?)0*([0-9]+)")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MOST_DIGITS = 30  # enough for every integer in use; far below the limit of `int`
_MOST_CHARACTERS = 400  # the exact decimal form of a double may be longer, written ones are not


class NumberError(UserError, ValueError):
    """Text that is not a number, or a number out of range.

    Being a `ValueError`, it is also understood by validators such as those of pydantic.
    """


def parse_int(
    text: str,
    low: int | None = None,
    high: int | None = None,
    *,
    place: str = "",
    error: type[UserError] = NumberError,
) -> int:
    """Return the integer in a text.

    Parameters
    ----------
    text : str
        ASCII digits with an optional sign; no blanks or underscores.
    low, high : int, optional
        Smallest and largest value accepted.
    place : str
        The quantity and its location, with which the message begins.
    error : type
        Class of the error.

    Raises
    ------
    UserError
        The text is not an integer, or it is out of range; the class is ``error``.

    Examples
    --------
    >>> parse_int("0042", 1, 100)
    42
    >>> parse_int("4_2")
    Traceback (most recent call last):
    gfncore.text.numbers.NumberError: '4_2' is not an integer; write digits alone, such as 42
    >>> parse_int("9" * 5000, 1, 100)
    Traceback (most recent call last):
    gfncore.text.numbers.NumberError: a number of 5000 digits is out of range; give an integer from 1 to 100
    """  # noqa: E501
    found = _INTEGER.fullmatch(text)
    if found is None:
        raise _error(error, place, f"'{shortened(text)}' is not an integer; {_integer_cure(text)}")
    digits = len(found[2])
    value = None if digits > _MOST_DIGITS else int(found[1] + found[2])
    if value is None or (low is not None and value < low) or (high is not None and value > high):
        what = f"a number of {digits} digits" if value is None else str(value)
        raise _error(error, place, f"{what} is out of range; give {_integers(low, high)}")
    return value


def check_int(value: object, low: int | None = None, high: int | None = None) -> int:
    """Return the integer in a value of a configuration file or in a text.

    Parameters
    ----------
    value : object
        An integer, a float with an integer value, or text; a bool is not a number.
    low, high : int, optional
        Smallest and largest value accepted.

    Raises
    ------
    NumberError
        The value is not an integer, or it is out of range.

    Examples
    --------
    >>> check_int(1e3, 1, 2000)
    1000
    >>> check_int(True)
    Traceback (most recent call last):
    gfncore.text.numbers.NumberError: 'True' is not an integer; write digits alone, such as 42
    """
    if isinstance(value, str):
        return parse_int(value, low, high)
    whole = isinstance(value, float) and math.isfinite(value) and value == int(value)
    if isinstance(value, bool) or not (isinstance(value, int) or whole):
        raise NumberError(f"'{shortened(str(value))}' is not an integer; {_integer_cure('')}")
    number = int(value)  # type: ignore[call-overload]
    if number.bit_length() > 100:  # more digits than Python prints, perhaps
        raise NumberError(f"an integer of that size is out of range; give {_integers(low, high)}")
    return parse_int(str(number), low, high)


def parse_float(
    text: str,
    low: float | None = None,
    high: float | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
    place: str = "",
    error: type[UserError] = NumberError,
) -> float:
    """Return the finite number in a text.

    Parameters
    ----------
    text : str
        A decimal number in ASCII with an optional exponent; no blanks, underscores, ``nan`` or
        ``inf``.
    low, high : float, optional
        Smallest and largest value accepted.
    above, below : float, optional
        Exclusive bounds.
    place : str
        The quantity and its location, with which the message begins.
    error : type
        Class of the error.

    Raises
    ------
    UserError
        The text is not a finite number, or it is out of range; the class is ``error``.

    Examples
    --------
    >>> parse_float("2.5e-3")
    0.0025
    >>> parse_float("nan")
    Traceback (most recent call last):
    gfncore.text.numbers.NumberError: 'nan' is not a number; write it in decimal digits, such as 0.5
    >>> parse_float("0", above=0.0, high=1.0)
    Traceback (most recent call last):
    gfncore.text.numbers.NumberError: 0 is out of range; give a number above 0 and at most 1
    """
    if len(text) > _MOST_CHARACTERS or not _DECIMAL.fullmatch(text):
        cure = "write it in decimal digits, such as 0.5"
        if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", text):
            cure = "write a decimal point in place of the comma"
        raise _error(error, place, f"'{shortened(text)}' is not a number; {cure}")
    value = float(text)
    if (
        not math.isfinite(value)
        or (low is not None and value < low)
        or (high is not None and value > high)
        or (above is not None and value <= above)
        or (below is not None and value >= below)
    ):
        wanted = _interval(low, high, above, below)
        raise _error(error, place, f"{shortened(text)} is out of range; give {wanted}")
    return value


def shortened(text: str, most: int = 40) -> str:
    """Return text for a message: on one line, its middle left out when it is long."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: 2 * most])
    if len(text) <= most and len(shown) <= 2 * most:
        return shown
    return f"{shown[: most // 2]}... ({len(text)} characters)"


def _error(error: type[UserError], place: str, message: str) -> UserError:
    return error(f"{place}: {message}" if place else message)


def _integer_cure(text: str) -> str:
    plain = text.strip().replace("_", "")
    digits = plain if _INTEGER.fullmatch(plain) and len(plain) <= _MOST_DIGITS else "42"
    return f"write digits alone, such as {digits}"


def _integers(low: int | None, high: int | None) -> str:
    if low is None and high is None:
        return f"an integer of at most {_MOST_DIGITS} digits"
    if high is None:
        return f"an integer of {low} or more"
    top = _power(high)
    return f"an integer of at most {top}" if low is None else f"an integer from {low} to {top}"


def _power(high: int) -> str:
    bits = high.bit_length()
    return f"2^{bits} - 1" if bits >= 31 and high == 2**bits - 1 else str(high)


def _interval(
    low: float | None, high: float | None, above: float | None, below: float | None
) -> str:
    ends = [f"of at least {low:g}"] if low is not None else []
    ends += [f"above {above:g}"] if above is not None else []
    ends += [f"at most {high:g}"] if high is not None else []
    ends += [f"below {below:g}"] if below is not None else []
    return f"a number {' and '.join(ends)}" if ends else "a finite number"
