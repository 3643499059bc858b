"""Types and weights of characters in NEXUS files, and the sets that the data define."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gfncore.text.numbers import NumberError, parse_float
from phylogfn.alignments.nexus.lists import MemberLists
from phylogfn.errors import AlignmentError, shown

__all__ = ["character_values", "data_defined_set", "read_type", "read_weight"]

_ORDERED = {"ord": True, "ordered": True, "wagner": True} | dict.fromkeys(
    ("unord", "unordered", "fitch"), False
)
_MOST_WEIGHT = 1e9
_REST = ("all", "remainder")

Value = TypeVar("Value", bool, float)


def read_type(place: str, word: str) -> bool:
    """Return whether a type is that of ordered characters.

    Raises
    ------
    AlignmentError
        The type is neither ordered nor unordered; the message starts with `place`.
    """
    if word.lower() not in _ORDERED:
        raise AlignmentError(
            f"{place}: type {shown(word)} is not supported; 'ord' and 'unord' are, change it"
        )
    return _ORDERED[word.lower()]


def read_weight(place: str, word: str) -> float:
    """Return the weight of a character.

    Raises
    ------
    AlignmentError
        It is not a number of 0 or more; the message starts with `place`.
    """
    try:
        return parse_float(word, 0.0, _MOST_WEIGHT)
    except NumberError:
        raise AlignmentError(
            f"{place}: weight {shown(word)} is not a decimal number from 0 to "
            f"{_MOST_WEIGHT:g}; correct it"
        ) from None


def character_values(
    place: str,
    text: str,
    vector: bool,
    read: Callable[[str, str], Value],
    characters: MemberLists,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the values of characters from a vector or from parts ``value: characters``.

    Parameters
    ----------
    place : str
        Location of the text, for messages.
    text : str
        The values.
    vector : bool
        Whether there is one value for each character.
    read : callable
        `read_type` or `read_weight`.
    characters : MemberLists

    Returns
    -------
    given : ndarray, shape (n_sites,), bool
        Whether each character has a value.
    values : ndarray, shape (n_sites,), float64

    Raises
    ------
    AlignmentError
        The text does not have this form, or a character has two values.
    """
    n_sites = characters.count
    values = np.zeros(n_sites)
    given = np.zeros(n_sites, bool)
    if vector:
        words = text.split()
        if len(words) != n_sites:
            raise AlignmentError(
                f"{place}: has {len(words)} values for {n_sites} characters; correct it"
            )
        return ~given, np.array([read(place, word) for word in words], float)
    rest: list[Value] = []
    for part in text.split(","):
        word, colon, members = part.partition(":")
        if not colon:
            raise AlignmentError(f"{place}: {shown(part)} is not of the form 'value: characters'")
        value = read(place, word.strip())
        if members.strip().lower() in _REST:
            rest.append(value)
            continue
        listed = characters.members(place, members)
        clash = [i for i in listed if given[i] and values[i] != value]
        if clash:
            raise AlignmentError(
                f"{place}: character {clash[0] + 1} has two different values; give it one"
            )
        values[listed] = value
        given[listed] = True
    if len(set(rest)) > 1:
        raise AlignmentError(f"{place}: 'all' or 'remainder' has two different values; give one")
    if rest:
        values[~given] = rest[0]
        given[:] = True
    return given, values


def data_defined_set(
    word: str, masks: NDArray[np.uint32], gaps: NDArray[np.bool_]
) -> list[int] | None:
    """Return the characters of a set of PAUP that the data define; None for other words.

    Parameters
    ----------
    word : str
        ``constant``, ``uninf``, ``gapped`` or ``missambig``.
    masks : ndarray, shape (n, n_sites), uint32
        The states possible.
    gaps : ndarray, shape (n, n_sites), bool
        Which cells are gaps.
    """
    single = (masks & (masks - np.uint32(1))) == 0
    if word == "constant":
        chosen = np.bitwise_and.reduce(masks, axis=0) != 0
    elif word in ("uninf", "uninformative"):
        twice = np.zeros(masks.shape[1], np.int64)  # states that two taxa or more have
        for bit in range(32):
            twice += (single & (masks == np.uint32(1 << bit))).sum(axis=0) > 1
        chosen = twice < 2
    elif word == "gapped":
        chosen = gaps.any(axis=0)
    elif word == "missambig":
        chosen = (~single & ~gaps).any(axis=0)
    else:
        return None
    return np.flatnonzero(chosen).tolist()
