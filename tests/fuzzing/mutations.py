"""Damage to valid input: of bytes, of tokens, of lines, and of the whole file.

All randomness comes from a `random.Random`, or from the one that hypothesis controls and shrinks.
"""

from __future__ import annotations

import bz2
import gzip
import re
from collections.abc import Callable, Sequence
from random import Random

__all__ = ["HOSTILE_TOKENS", "mutate"]

_TOKEN = re.compile(r"[A-Za-z]+|[0-9.]+|\s+|.", re.DOTALL)
_LARGEST = 1 << 18  # bytes of a mutated input

HOSTILE_NUMBERS = (
    *("0", "-0", "-1", "1", "2", "0.5", "1e-320", "1e308", "1e999", "-1e999", "nan", "inf", "-inf"),
    *("1_0", "0x10", "1e", "1e+", ".", "1.2.3", "0,5", "1.234,5", "1/0", "1/3", "+5", "007"),
    *("32767", "32768", "65536", "2147483648", "4294967296", "9223372036854775808"),
    *("99999999999999999999", "9" * 4301, "0." + "3" * 5000, "\u0661\u0662", "\u00bd", "\uff11"),
)
HOSTILE_TOKENS = (
    *HOSTILE_NUMBERS,
    *("", " ", "\t", "\n", "\r", "\r\n", "\n\n", "\x0b", "\x0c", "\x85", "\u2028", "\xa0"),
    *("'", '"', "''", '""', "[", "]", "[[", "(", ")", "((", "{", "}", "<", ">", ";", ",", ":"),
    *("=", "*", "/", "\\", "#", "!", "?", "-", "--", ".", "~", "@", "$", "%", "&", "|", "+"),
    *("\0", "\x01", "\x1b[31m", "\x7f", "\ufeff", "\ud800", "\ufffd", "\U0001f600"),
    *("e\u0301", "\u00e9", "\u202e", "A" * 10_000, "(" * 6000, "[" * 6000, "{" * 6000),
)

Edit = Callable[[Random, bytes, Sequence[bytes], Sequence[str]], bytes]


def mutate(rng: Random, seeds: Sequence[bytes], tokens: Sequence[str]) -> bytes:
    """Return a damaged copy of one of several valid inputs.

    Parameters
    ----------
    rng : random.Random
    seeds : sequence of bytes
        Valid inputs of one reader.
    tokens : sequence of str
        Words that mean something to the reader, beside `HOSTILE_TOKENS`.
    """
    data = rng.choice(seeds)
    count = 1
    while count < 12 and rng.random() < 0.45:
        count += 1
    for _ in range(count):
        edit = rng.choice(_EDITS)
        data = edit(rng, data, seeds, tokens)[:_LARGEST]
    if rng.random() < 0.04:
        data = rng.choice(_WHOLE)(rng, data, seeds, tokens)
    return data


def _place(rng: Random, length: int) -> int:
    return rng.randint(0, length)


def _flip_bit(rng: Random, data: bytes, _seeds: Sequence[bytes], _tokens: Sequence[str]) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _replace_byte(
    rng: Random, data: bytes, _seeds: Sequence[bytes], _tokens: Sequence[str]
) -> bytes:
    at = _place(rng, len(data))
    return data[:at] + bytes([rng.randrange(256)]) + data[at + rng.randint(0, 1) :]


def _delete_range(
    rng: Random, data: bytes, _seeds: Sequence[bytes], _tokens: Sequence[str]
) -> bytes:
    at = _place(rng, len(data))
    return data[:at] + data[at + rng.choice((1, 2, 5, 20, 100)) :]


def _repeat_range(
    rng: Random, data: bytes, _seeds: Sequence[bytes], _tokens: Sequence[str]
) -> bytes:
    at = _place(rng, len(data))
    part = data[at : at + rng.choice((1, 3, 10, 60, 400))]
    return data[:at] + part * rng.choice((2, 2, 3, 10, 200)) + data[at:]


def _cut_short(rng: Random, data: bytes, _seeds: Sequence[bytes], _tokens: Sequence[str]) -> bytes:
    return data[: _place(rng, len(data))]


def _insert_token(
    rng: Random, data: bytes, _seeds: Sequence[bytes], tokens: Sequence[str]
) -> bytes:
    at = _place(rng, len(data))
    return data[:at] + _encoded(_word(rng, tokens)) + data[at:]


def _replace_token(
    rng: Random, data: bytes, _seeds: Sequence[bytes], tokens: Sequence[str]
) -> bytes:
    parts = _split(data)
    if parts:
        parts[rng.randrange(len(parts))] = _word(rng, tokens)
    return _encoded("".join(parts))


def _replace_number(
    rng: Random, data: bytes, _seeds: Sequence[bytes], _tokens: Sequence[str]
) -> bytes:
    parts = _split(data)
    numbers = [place for place, part in enumerate(parts) if part[:1].isdigit()]
    if numbers:
        parts[rng.choice(numbers)] = rng.choice(HOSTILE_NUMBERS)
    return _encoded("".join(parts))


def _exchange_tokens(
    rng: Random, data: bytes, _seeds: Sequence[bytes], _tokens: Sequence[str]
) -> bytes:
    parts = _split(data)
    if len(parts) > 1:
        one, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        parts[one], parts[other] = parts[other], parts[one]
    return _encoded("".join(parts))


def _delete_token(
    rng: Random, data: bytes, _seeds: Sequence[bytes], _tokens: Sequence[str]
) -> bytes:
    parts = _split(data)
    if parts:
        del parts[rng.randrange(len(parts))]
    return _encoded("".join(parts))


def _edit_lines(rng: Random, data: bytes, seeds: Sequence[bytes], _tokens: Sequence[str]) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    what = rng.randrange(6)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(rng.randint(0, len(lines)), lines[at])
    elif what == 2:
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif what == 3:
        lines[at : at + 2] = [b"".join(lines[at : at + 2])]
    elif what == 4:
        lines.insert(at, rng.choice(rng.choice(seeds).split(b"\n")))
    else:
        here = _place(rng, len(lines[at]))
        lines[at : at + 1] = [lines[at][:here], lines[at][here:]]
    return b"\n".join(lines)


def _splice(rng: Random, data: bytes, seeds: Sequence[bytes], _tokens: Sequence[str]) -> bytes:
    other = rng.choice(seeds)
    return data[: _place(rng, len(data))] + other[_place(rng, len(other)) :]


def _line_ends(rng: Random, data: bytes, _seeds: Sequence[bytes], _tokens: Sequence[str]) -> bytes:
    return data.replace(b"\n", rng.choice((b"\r\n", b"\r", b"", b" ")))


def _encoding(rng: Random, data: bytes, _seeds: Sequence[bytes], _tokens: Sequence[str]) -> bytes:
    name = rng.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "cp037"))
    return data.decode("latin-1").encode(name)


def _packed(rng: Random, data: bytes, _seeds: Sequence[bytes], _tokens: Sequence[str]) -> bytes:
    packed = gzip.compress(data, mtime=0) if rng.random() < 0.7 else bz2.compress(data)
    if rng.random() < 0.6:
        packed = _replace_byte(rng, packed, (), ())
    return packed if rng.random() < 0.7 else packed[: _place(rng, len(packed))]


def _word(rng: Random, tokens: Sequence[str]) -> str:
    return rng.choice(tokens) if tokens and rng.random() < 0.5 else rng.choice(HOSTILE_TOKENS)


def _split(data: bytes) -> list[str]:
    return _TOKEN.findall(data.decode("utf-8", errors="surrogateescape"))


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", errors="surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair among the tokens
        return text.encode("utf-8", errors="surrogatepass")


_EDITS: tuple[Edit, ...] = (
    *(_flip_bit, _replace_byte, _delete_range, _repeat_range, _cut_short),
    *(_insert_token, _insert_token, _replace_token, _replace_token, _replace_number),
    *(_replace_number, _exchange_tokens, _delete_token, _edit_lines, _edit_lines, _splice),
)
_WHOLE: tuple[Edit, ...] = (_line_ends, _encoding, _packed)
