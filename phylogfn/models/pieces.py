"""The parts of a model string: names, numbers in braces, labels of numbers, and suffixes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gfncore.errors import UserError
from gfncore.text.numbers import parse_float, parse_int

__all__ = ["EXAMPLE", "Piece", "labelled_values", "read_piece", "read_suffixes", "values_in_order"]

EXAMPLE = "as in 'HKY85+G4', 'GTR+I+G4' or 'LG+F+G4'"
_PIECE = re.compile(r"(?P<name>[A-Za-z0-9.]+)(?:\{(?P<values>[^{}]*)\})?$")
_SUFFIXES = "+F, +FO, +FQ, +G[categories], +R[categories], +I, +ASC, +C10 to +C60"
_LARGEST = 1e6  # value in a model string
_MOST_CATEGORIES = 64


@dataclass(frozen=True)
class Piece:
    """One part of a model string, such as "HKY85{kappa=2.1}" or "G4{0.5}".

    Attributes
    ----------
    text : str
        The part as written.
    name : str
        What stands before the braces.
    values : tuple of float
        The numbers in the braces; empty without braces.
    labels : tuple of str
        Their labels in lower case, without ``r( )``, ``pi( )`` and arrows; empty strings where a
        number has none.
    """

    text: str
    name: str
    values: tuple[float, ...]
    labels: tuple[str, ...]


def read_piece(text: str, piece: str) -> Piece:
    """Read one part of a model string.

    Parameters
    ----------
    text : str
        The whole model string, for messages.
    piece : str
        The part.

    Raises
    ------
    UserError
        It is not a name with optional numbers in braces.
    """
    match = _PIECE.match(piece)
    if match is None:
        raise UserError(f"model '{text}': cannot read '{piece}'; write it {EXAMPLE}")
    values: list[float] = []
    labels: list[str] = []
    for word in (match["values"] or "").replace(";", ",").split(",") if match["values"] else []:
        label, _, number = (part.strip() for part in word.rpartition("="))
        labels.append(re.sub(r"^(r|pi)\((.*)\)$", r"\2", label.lower()).replace("<->", ""))
        place = f"model '{text}': a value of '{match['name']}'"
        values.append(parse_float(number, 0.0, _LARGEST, place=place, error=UserError))
    return Piece(piece, match["name"], tuple(values), tuple(labels))


def labelled_values(text: str, piece: Piece, known: tuple[str, ...]) -> dict[str, float]:
    """Return the values of a piece by label, as spelled in ``known``.

    Raises
    ------
    UserError
        A label is unknown, comes twice or is missing.
    """
    spelled = {label.lower(): label for label in known}
    given = dict(zip(piece.labels, piece.values, strict=True))
    unknown = [label for label in piece.labels if label not in spelled]
    if unknown or len(given) < len(piece.labels):
        found = "one comes twice"
        if unknown:
            found = f"{unknown[0]!r} is none" if unknown[0] else "one value has none"
        raise UserError(
            f"model '{text}': the labels in '{piece.text}' are {', '.join(known)}; {found}"
        )
    return {spelled[label]: value for label, value in given.items()}


def values_in_order(text: str, piece: Piece, order: tuple[str, ...]) -> tuple[float, ...]:
    """Return the values of a piece in the order of its parameters, for any order of labels.

    Raises
    ------
    UserError
        The labels are invalid, or one is missing before another that is given.
    """
    if not any(piece.labels):
        return piece.values
    given = labelled_values(text, piece, order)
    ordered = [label for label in order if label in given]
    if ordered != list(order[: len(ordered)]):
        missing = next(label for label in order if label not in given)
        raise UserError(f"model '{text}': '{piece.text}' has no value of {missing}")
    return tuple(given[label] for label in ordered)


def read_suffixes(text: str, pieces: list[Piece]) -> dict[str, tuple[int, Piece]]:
    """Return suffixes by kind, with their number of categories or profiles.

    Kinds are "F", "FO", "FQ", "G", "R", "I", "ASC" and "C".

    Parameters
    ----------
    text : str
        The whole model string, for messages.
    pieces : list of Piece
        What follows the name of the model.

    Raises
    ------
    UserError
        A suffix is unknown, comes twice, or takes no values.
    """
    found: dict[str, tuple[int, Piece]] = {}
    for piece in pieces:
        match = re.fullmatch(r"(ASC|FO|FQ|F|I|G|R|C(?=[1-6]0$))(\d*)", piece.name.upper())
        if match is None or (match[2] and match[1] not in ("G", "R", "C")):
            raise UserError(f"model '{text}': unknown suffix '+{piece.name}'; known: {_SUFFIXES}")
        place = f"model '{text}': the number of categories of +{match[1]}"
        categories = parse_int(match[2] or "4", 1, _MOST_CATEGORIES, place=place, error=UserError)
        if match[1] == "ASC" and piece.values:
            raise UserError(f"model '{text}': '+ASC' takes no values")
        if match[1] in ("FO", "FQ") and piece.values:
            raise UserError(
                f"model '{text}': '+{match[1]}' takes no values; fixed frequencies are '+F{{...}}'"
            )
        kinds = {key[0] for key in found}
        if match[1][0] in kinds:
            name = "ASC" if match[1] == "ASC" else match[1][0]
            raise UserError(f"model '{text}': '+{name}' is given twice")
        found[match[1]] = (categories, piece)
    if "G" in found and "R" in found:
        raise UserError(f"model '{text}': '+G' and '+R' are alternatives; give one of them")
    return found
