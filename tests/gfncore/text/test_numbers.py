"""Numbers from text: one form, one range, one line when wrong."""

import math

import pytest

from gfncore.errors import UserError
from gfncore.text.numbers import NumberError, parse_float, parse_int, shortened

# Python's own `int` and `float` take most of these.
NOT_NUMBERS = [
    "",
    " ",
    "1_000",
    "\u0663",
    " 7",
    "7 ",
    "7\n",
    "0x1f",
    "nan",
    "inf",
    "-inf",
    "\uff11",
]


@pytest.mark.parametrize("text", [*NOT_NUMBERS, "1.0", "1e3", "--1"])
def test_what_is_not_an_integer_is_refused_in_one_line(text):
    with pytest.raises(NumberError, match="is not an integer; write digits") as found:
        parse_int(text)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", [*NOT_NUMBERS, "1e", ".", "e5", "1.2.3", "1" * 401])
def test_what_is_not_a_number_is_refused_in_one_line(text):
    with pytest.raises(NumberError, match="is not a number; write it") as found:
        parse_float(text)
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 200


@pytest.mark.parametrize("digits", [31, 4300, 4301, 1_000_000])
def test_a_number_of_thousands_of_digits_is_out_of_range(digits):
    with pytest.raises(NumberError, match=f"a number of {digits} digits is out of range; give an"):
        parse_int("9" * digits)
    with pytest.raises(NumberError, match="give an integer from 0 to 2\\^63 - 1"):
        parse_int("-" + "9" * digits, 0, 2**63 - 1)


def test_zeros_in_front_change_nothing():
    assert parse_int("0" * 5000 + "12") == 12
    assert parse_int("+0") == 0


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1.0), ("-.5e1", -5.0), ("3.", 3.0), ("1E-3", 1e-3)]
)
def test_decimal_numbers_are_read(text, value):
    assert parse_float(text) == value


def test_a_number_that_overflows_is_out_of_range():
    with pytest.raises(NumberError, match="1e999 is out of range; give a finite number"):
        parse_float("1e999")
    assert parse_float("1e-999") == 0.0  # the nearest double
    assert math.isfinite(parse_float("1.7976931348623157e308"))


def test_a_decimal_comma_is_named():
    with pytest.raises(NumberError, match="write a decimal point in place of the comma"):
        parse_float("0,5")


def test_ranges_are_told():
    with pytest.raises(NumberError, match="-1 is out of range; give an integer of 0 or more"):
        parse_int("-1", 0)
    with pytest.raises(
        NumberError, match="3 is out of range; give a number of at least 0 and below 1"
    ):
        parse_float("3", 0.0, below=1.0)


def test_the_place_and_the_class_of_the_error_are_the_callers():
    class Own(UserError):
        pass

    with pytest.raises(Own, match="^file, line 3: 'x' is not an integer"):
        parse_int("x", place="file, line 3", error=Own)


def test_shortened_text_has_no_control_characters():
    assert shortened("a\nb") == "a\\nb"
    assert shortened("x" * 100) == "x" * 20 + "... (100 characters)"
