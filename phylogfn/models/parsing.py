"""Reading model strings such as "HKY85+G4+I", "GTR{1,2,1,1,2,1}+F" or "LG+F+G8{0.5}"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gfncore.errors import UserError
from gfncore.text.hints import nearest
from gfncore.text.numbers import parse_float, parse_int, shortened
from phylogfn.models.dna import DNA_MODELS, GTR_PAIRS, NUCLEOTIDES
from phylogfn.models.parameters import Parameter, Prior
from phylogfn.models.protein import AMINO_ACIDS, PROTEIN_MODELS
from phylogfn.models.spec import ModelSpec

__all__ = ["parse_model"]

_ALIASES = {
    "JC": "JC69", "K2P": "K80", "HKY": "HKY85", "POISSON": "Poisson", "DAYHOFF": "Dayhoff",
}  # fmt: skip
_PIECE = re.compile(r"(?P<name>[A-Za-z0-9]+)(?:\{(?P<values>[^{}]*)\})?$")
_EXAMPLE = "as in 'HKY85+G4', 'GTR+I+G4' or 'LG+F+G4'"
_SUFFIXES = "+F, +FO, +FQ, +G[categories], +I"
_SHAPE = Parameter("gamma_shape", "positive", ("alpha",), (0.5,), (-3.9, 5.3), Prior("exp", (1.0,)))
_LONGEST = 2000  # characters of a model string
_LARGEST = 1e6  # value in a model string
_INVARIANT = Parameter(
    "invariant", "share", ("pinvar",), (0.2,), (-13.8, 7.0), Prior("uniform", (0.0, 1.0))
)


@dataclass(frozen=True)
class _Piece:
    """One part of a model string: its text, its name, the numbers in its braces and their labels.

    Labels are in lower case, without ``r( )``, ``pi( )`` and arrows; empty where there is none.
    """

    text: str
    name: str
    values: tuple[float, ...]
    labels: tuple[str, ...]


def parse_model(text: str, alphabet: object) -> ModelSpec:
    """Parse a model string and return the model.

    Parameters
    ----------
    text : str
        A model (JC69, K80, F81, HKY85, GTR; Poisson, LG, WAG, JTT, Dayhoff) and suffixes: `+G[k]`
        gamma rates in k categories (4), `+I` invariant sites, `+F` frequencies counted in the
        alignment, `+FO` free, `+FQ` equal. Braces fix values: "HKY85{kappa=2.1}+G4{0.5}+I{0.2}",
        "F81{0.1,0.2,0.3,0.4}", "+F{...}", "GTR{AG=4,CT=4,AC=1,AT=1,CG=1}"; with labels, in any
        order. By default, nucleotide models with unequal frequencies have free frequencies, and
        protein models those of their matrix.
    alphabet : Alphabet or str
        "dna", "rna" or "protein", or an object with such a `name`; there is no model for
        "standard".

    Raises
    ------
    UserError
        If the string is invalid (the message suggests the most similar model), or there is no model
        for the data.
    """
    kind = str(getattr(alphabet, "name", alphabet)).lower()
    if kind == "standard":
        raise UserError(
            f"model '{text}': there is no substitution model of standard (morphological) data "
            "here; use phylogfn parsimony"
        )
    if len(text) > _LONGEST:
        raise UserError(f"model '{shortened(text)}': is too long; write it {_EXAMPLE}")
    known = PROTEIN_MODELS if kind == "protein" else tuple(DNA_MODELS)
    pieces = [_piece(text, piece.strip()) for piece in text.strip().split("+")]
    family = _family(text, pieces[0].name, known, kind)
    build = _protein_spec if kind == "protein" else _dna_spec
    return build(text, family, pieces[0], _suffixes(text, pieces[1:]))


def _piece(text: str, piece: str) -> _Piece:
    match = _PIECE.match(piece)
    if match is None:
        raise UserError(f"model '{text}': cannot read '{piece}'; write it {_EXAMPLE}")
    values: list[float] = []
    labels: list[str] = []
    for word in (match["values"] or "").replace(";", ",").split(",") if match["values"] else []:
        label, _, number = (part.strip() for part in word.rpartition("="))
        labels.append(re.sub(r"^(r|pi)\((.*)\)$", r"\2", label.lower()).replace("<->", ""))
        place = f"model '{text}': a value of '{match['name']}'"
        values.append(parse_float(number, 0.0, _LARGEST, place=place, error=UserError))
    return _Piece(piece, match["name"], tuple(values), tuple(labels))


def _in_order(text: str, piece: _Piece, order: tuple[str, ...]) -> tuple[float, ...]:
    """Return the values of a piece in the order of its parameters, for any order of labels."""
    if not any(piece.labels):
        return piece.values
    given = dict(zip(piece.labels, piece.values, strict=True))
    wanted = [label.lower() for label in order]
    unknown = [label for label in piece.labels if label not in wanted]
    if unknown or len(given) < len(piece.labels):
        found = "one comes twice"
        if unknown:
            found = f"{unknown[0]!r} is none" if unknown[0] else "one value has none"
        raise UserError(
            f"model '{text}': the labels in '{piece.text}' are {', '.join(order)}; {found}"
        )
    ordered = [label for label in wanted if label in given]
    if ordered != wanted[: len(ordered)]:
        missing = order[next(i for i, label in enumerate(wanted) if label not in given)]
        raise UserError(f"model '{text}': '{piece.text}' has no value of {missing}")
    return tuple(given[label] for label in ordered)


def _family(text: str, name: str, known: tuple[str, ...], kind: str) -> str:
    canonical = {model.upper(): model for model in known}
    wanted = _ALIASES.get(name.upper(), name).upper()
    if wanted in canonical:
        return canonical[wanted]
    other = tuple(DNA_MODELS) if kind == "protein" else PROTEIN_MODELS
    if wanted in {model.upper() for model in other}:
        raise UserError(
            f"model '{text}': {name} is not for {kind} data; use one of {', '.join(known)}"
        )
    near = nearest(wanted, [*canonical, *_ALIASES])
    near_name = canonical.get(_ALIASES.get(near, near).upper()) if near else None
    hint = f"did you mean {near_name}? " if near_name else ""
    raise UserError(f"model '{text}': unknown model '{name}'; {hint}known are {', '.join(known)}")


def _suffixes(text: str, pieces: list[_Piece]) -> dict[str, tuple[int, _Piece]]:
    """Return suffixes by kind ("F", "FO", "FQ", "G", "I"), with the number of gamma categories."""
    found: dict[str, tuple[int, _Piece]] = {}
    for piece in pieces:
        match = re.fullmatch(r"(FO|FQ|F|I|G)(\d*)", piece.name.upper())
        if match is None or (match[2] and match[1] != "G"):
            raise UserError(f"model '{text}': unknown suffix '+{piece.name}'; known: {_SUFFIXES}")
        place = f"model '{text}': the number of categories of +G"
        categories = parse_int(match[2] or "4", 1, 64, place=place, error=UserError)
        if match[1] in ("FO", "FQ") and piece.values:
            raise UserError(
                f"model '{text}': '+{match[1]}' takes no values; fixed frequencies are '+F{{...}}'"
            )
        kinds = {key[0] for key in found}
        if match[1][0] in kinds:
            raise UserError(f"model '{text}': '+{match[1][0]}' is given twice")
        found[match[1]] = (categories, piece)
    return found


def _frequencies(text: str, piece: _Piece, states: str) -> tuple[float, ...]:
    n_states = len(states)
    values = _in_order(text, piece, tuple(states))
    total = sum(values)
    if len(values) != n_states or min(values) <= 0 or abs(total - 1.0) > 1e-3:
        raise UserError(
            f"model '{text}': {n_states} positive frequencies with sum 1 are needed, "
            f"found {len(values)} with sum {total:g}"
        )
    return tuple(value / total for value in values)


def _common(text: str, suffixes: dict[str, tuple[int, _Piece]]) -> dict[str, Any]:
    """Return fixed values for gamma and invariant sites, and parameters if they are free."""
    fields: dict[str, Any] = {"parameters": ()}
    if "G" in suffixes:
        categories, piece = suffixes["G"]
        fields["n_categories"] = categories
        values = _in_order(text, piece, ("alpha",))
        if len(values) > 1 or (values and values[0] <= 0):
            raise UserError(f"model '{text}': '+G' takes one positive shape, as in '+G4{{0.5}}'")
        if values:
            fields["gamma_shape"] = values[0]
        elif categories > 1:
            fields["parameters"] += (_SHAPE,)
    if "I" in suffixes:
        values = _in_order(text, suffixes["I"][1], ("pinvar",))
        if len(values) > 1 or (values and values[0] >= 1):
            raise UserError(f"model '{text}': '+I' takes one share below 1, as in '+I{{0.2}}'")
        if values:
            fields["invariant"] = values[0]
        else:
            fields["parameters"] += (_INVARIANT,)
    return fields


def _free_frequencies(states: str) -> Parameter:
    start = (1.0 / len(states),) * len(states)
    return Parameter(
        "frequencies", "simplex", tuple(states), start, (-9.0, 9.0), Prior("dirichlet", (1.0,))
    )


def _frequency_fields(
    text: str, suffixes: dict[str, tuple[int, _Piece]], states: str
) -> tuple[dict[str, Any], tuple[Parameter, ...]] | None:
    """Return the frequencies of a suffix, or None without a suffix."""
    if "FQ" in suffixes:
        return {"frequencies": (1.0 / len(states),) * len(states)}, ()
    if "FO" in suffixes:
        return {}, (_free_frequencies(states),)
    if "F" in suffixes:
        piece = suffixes["F"][1]
        if piece.values:
            return {"frequencies": _frequencies(text, piece, states)}, ()
        return {"empirical": True}, ()
    return None


def _dna_spec(
    text: str, name: str, piece: _Piece, suffixes: dict[str, tuple[int, _Piece]]
) -> ModelSpec:
    family, fields = DNA_MODELS[name], _common(text, suffixes)
    asked: tuple[dict[str, Any], tuple[Parameter, ...]] | None
    asked = _frequency_fields(text, suffixes, NUCLEOTIDES)
    if asked is not None and family.equal_frequencies and "FQ" not in suffixes:
        raise UserError(
            f"model '{text}': {name} has equal frequencies; with +F use F81, HKY85, GTR"
        )
    if name == "F81" and piece.values:
        if asked is not None:
            raise UserError(
                f"model '{text}': frequencies are given twice, in '{piece.text}' and by a suffix"
            )
        asked = ({"frequencies": _frequencies(text, piece, NUCLEOTIDES)}, ())
    if asked is None:
        asked = ({}, () if family.equal_frequencies else (_free_frequencies(NUCLEOTIDES),))
    free: tuple[Parameter, ...] = ()
    if piece.values and name != "F81":
        fields["rates"] = _fixed_rates(text, name, piece)
    elif family.rates is not None:
        free = (family.rates,)
    fields["parameters"] = free + asked[1] + fields["parameters"]
    return ModelSpec(text, name, 4, **fields, **asked[0])


def _fixed_rates(text: str, name: str, piece: _Piece) -> tuple[float, ...]:
    expected = {"K80": (1,), "HKY85": (1,), "GTR": (5, 6)}.get(name, ())
    values = piece.values
    if expected:
        values = _in_order(text, piece, tuple(GTR_PAIRS) if name == "GTR" else ("kappa",))
    if len(values) not in expected or max(values) <= 0:
        wanted = {
            (): "no values",
            (1,): "one positive kappa",
            (5, 6): f"the rates {' '.join(GTR_PAIRS)} (the last may be left out and is then 1)",
        }[expected]
        raise UserError(f"model '{text}': {name} takes {wanted}, found {len(values)} values")
    return values + (1.0,) if len(values) == 5 else values


def _protein_spec(
    text: str, name: str, piece: _Piece, suffixes: dict[str, tuple[int, _Piece]]
) -> ModelSpec:
    if piece.values:
        raise UserError(f"model '{text}': {name} takes no values; frequencies go into '+F{{...}}'")
    fields = _common(text, suffixes)
    asked = _frequency_fields(text, suffixes, AMINO_ACIDS) or ({}, ())
    fields["parameters"] = asked[1] + fields["parameters"]
    return ModelSpec(text, name, 20, **fields, **asked[0])
