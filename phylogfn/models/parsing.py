"""Reading model strings such as "HKY85+G4+I", "GTR{1,2,1,1,2,1}+F" or "LG+F+G8{0.5}"."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from gfncore.errors import UserError
from gfncore.text.hints import nearest
from gfncore.text.numbers import shortened
from phylogfn.models.dna import (
    DNA_ALIASES,
    DNA_MODELS,
    GTR_PAIRS,
    NUCLEOTIDES,
    DnaFamily,
    dna_family,
)
from phylogfn.models.mixtures import FOUR_MATRICES, PROFILES
from phylogfn.models.morphology import MORPHOLOGY_MODELS, MorphologySpec
from phylogfn.models.parameters import Parameter, Prior
from phylogfn.models.pieces import (
    EXAMPLE,
    Piece,
    labelled_values,
    read_piece,
    read_suffixes,
    values_in_order,
)
from phylogfn.models.protein import AMINO_ACIDS, PROTEIN_MODELS
from phylogfn.models.rates import gamma_category_rates
from phylogfn.models.spec import ModelSpec

__all__ = ["parse_model"]

_SHAPE = Parameter("gamma_shape", "positive", ("alpha",), (0.5,), (-3.9, 5.3), Prior("exp", (1.0,)))
_LONGEST = 2000  # characters of a model string
_INVARIANT = Parameter(
    "invariant", "share", ("pinvar",), (0.2,), (-13.8, 7.0), Prior("uniform", (0.0, 1.0))
)
_CODE = "or six digits such as 010212, equal for equal rates"


def parse_model(text: str, alphabet: object) -> ModelSpec:
    """Parse a model string and return the model.

    Parameters
    ----------
    text : str
        A model (a name in `DNA_MODELS`, `PROTEIN_MODELS`, `FOUR_MATRICES` or `MORPHOLOGY_MODELS`,
        or a six-digit code of equal rates) and suffixes: `+G[k]` gamma rates in k categories (4),
        `+R[k]` free rates and weights of k categories, `+I` invariant sites, `+F` frequencies
        counted in the alignment, `+FO` free, `+FQ` equal, `+ASC` for variable sites alone, `+C10`
        to `+C60` profiles of amino acid frequencies (`C10` alone is `Poisson+C10`). Braces fix
        values: "HKY85{kappa=2.1}+G4{0.5}+I{0.2}", "F81{0.1,0.2,0.3,0.4}", "+F{...}",
        "TN93{AG=4,CT=6}"; with labels, in any order. By default, nucleotide models with unequal
        frequencies have free frequencies, and protein models those of their matrix.
    alphabet : Alphabet or str
        "dna", "rna", "protein" or "standard", or an object with such a `name`.

    Raises
    ------
    UserError
        If the string is invalid (the message suggests the most similar model), or there is no model
        for the data.

    Examples
    --------
    >>> parse_model("TN93+G4", "dna").labels[:3]
    ('r(A<->G)', 'r(C<->T)', 'r(A<->C,A<->T,C<->G,G<->T)')
    """
    kind = str(getattr(alphabet, "name", alphabet)).lower()
    if len(text) > _LONGEST:
        raise UserError(f"model '{shortened(text)}': is too long; write it {EXAMPLE}")
    pieces = [read_piece(text, piece.strip()) for piece in text.strip().split("+")]
    family = _family(text, pieces[0].name, kind)
    build = _SPECS.get(kind, _dna_spec)
    return build(text, family, pieces[0], read_suffixes(text, pieces[1:]))


def _family(text: str, name: str, kind: str) -> str:
    of_kinds: dict[str, tuple[str, ...]] = {
        "dna": tuple(DNA_MODELS),
        "protein": (*PROTEIN_MODELS, *FOUR_MATRICES, *PROFILES),
        "standard": tuple(MORPHOLOGY_MODELS),
    }
    own = kind if kind in of_kinds else "dna"
    known = of_kinds[own]
    aliases = DNA_ALIASES if own == "dna" else {}
    canonical = {model.upper(): model for model in known} | aliases
    wanted = name.upper()
    if wanted in canonical:
        return canonical[wanted]
    if re.fullmatch(r"[0-9]{6}", name) and own == "dna":
        return name
    listed = f"{', '.join(known)}{', ' + _CODE if own == 'dna' else ''}"
    others = [model for other, models in of_kinds.items() if other != own for model in models]
    others += [] if own == "dna" else DNA_ALIASES
    if wanted in {model.upper() for model in others}:
        raise UserError(f"model '{text}': {name} is not for {kind} data; use one of {listed}")
    near = nearest(wanted, list(canonical))
    hint = f"did you mean {canonical[near]}? " if near else ""
    raise UserError(f"model '{text}': unknown model '{name}'; {hint}known are {listed}")


def _frequencies(text: str, piece: Piece, states: str) -> tuple[float, ...]:
    n_states = len(states)
    values = values_in_order(text, piece, tuple(states))
    total = sum(values)
    if len(values) != n_states or min(values) <= 0 or abs(total - 1.0) > 1e-3:
        raise UserError(
            f"model '{text}': {n_states} positive frequencies with sum 1 are needed, "
            f"found {len(values)} with sum {total:g}"
        )
    return tuple(value / total for value in values)


def _common(text: str, suffixes: dict[str, tuple[int, Piece]]) -> dict[str, Any]:
    """Return fixed values for rates among sites, ascertainment, and parameters that are free."""
    fields: dict[str, Any] = {"parameters": (), "variable_only": "ASC" in suffixes}
    if "ASC" in suffixes and "I" in suffixes:
        raise UserError(
            f"model '{text}': variable sites alone (MKV, +ASC) say nothing about invariant sites; "
            "leave out +I"
        )
    if "G" in suffixes:
        categories, piece = suffixes["G"]
        fields["n_categories"] = categories
        values = values_in_order(text, piece, ("alpha",))
        if len(values) > 1 or (values and values[0] <= 0):
            raise UserError(f"model '{text}': '+G' takes one positive shape, as in '+G4{{0.5}}'")
        if values:
            fields["gamma_shape"] = values[0]
        elif categories > 1:
            fields["parameters"] += (_SHAPE,)
    if "R" in suffixes:
        categories, piece = suffixes["R"]
        fields["n_categories"] = categories
        if piece.values:
            fields["free_rates"] = _weights_and_rates(text, piece, categories)
        elif categories > 1:
            fields["parameters"] += (_free_rates(categories),)
    if "I" in suffixes:
        values = values_in_order(text, suffixes["I"][1], ("pinvar",))
        if len(values) > 1 or (values and values[0] >= 1):
            raise UserError(f"model '{text}': '+I' takes one share below 1, as in '+I{{0.2}}'")
        if values:
            fields["invariant"] = values[0]
        else:
            fields["parameters"] += (_INVARIANT,)
    return fields


def _free_rates(categories: int) -> Parameter:
    names = tuple(f"{name}({c})" for name in ("weight", "rate") for c in range(1, categories + 1))
    rates = gamma_category_rates(_SHAPE.start[0], categories)
    start = (*[1.0 / categories] * categories, *(float(rate) for rate in rates))
    prior = Prior("dirichlet", (1.0,))
    return Parameter("free_rates", "free_rates", names, start, (-12.0, 12.0), prior)


def _weights_and_rates(text: str, piece: Piece, categories: int) -> tuple[float, ...]:
    """Return the weights of the categories, then their rates, which the braces alternate."""
    order = tuple(f"{name}{c}" for c in range(1, categories + 1) for name in "wr")
    values = values_in_order(text, piece, order)
    weights, rates = values[::2], values[1::2]
    problem = ""
    if len(values) != 2 * categories:
        given = f"{len(values)} values"
        problem = f"weight and rate of each of {categories} categories are needed, found {given}"
    elif min(weights) <= 0.0 or abs(sum(weights) - 1.0) > 1e-3:
        problem = f"positive weights with sum 1 are needed, found sum {sum(weights):g}"
    elif max(rates) <= 0.0:
        problem = "at least one category needs a rate above 0"
    if problem:
        example = "'+R2{0.7,0.4,0.3,2.4}'"
        raise UserError(f"model '{text}': '{piece.text}': {problem}, as in {example}")
    return (*(weight / sum(weights) for weight in weights), *rates)


def _free_frequencies(states: str) -> Parameter:
    start = (1.0 / len(states),) * len(states)
    return Parameter(
        "frequencies", "simplex", tuple(states), start, (-9.0, 9.0), Prior("dirichlet", (1.0,))
    )


def _frequency_fields(
    text: str, suffixes: dict[str, tuple[int, Piece]], states: str
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
    text: str, name: str, piece: Piece, suffixes: dict[str, tuple[int, Piece]]
) -> ModelSpec:
    if "C" in suffixes:
        raise UserError(f"model '{text}': +C{suffixes['C'][0]} are profiles of amino acids")
    family, fields = dna_family(name), _common(text, suffixes)
    asked: tuple[dict[str, Any], tuple[Parameter, ...]] | None
    asked = _frequency_fields(text, suffixes, NUCLEOTIDES)
    if asked is not None and family.equal_frequencies and "FQ" not in suffixes:
        unequal = next(
            model.name
            for model in DNA_MODELS.values()
            if model.code == family.code and not model.equal_frequencies
        )
        raise UserError(f"model '{text}': {name} has equal frequencies; with +F use {unequal}")
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
        fields["rates"] = _fixed_rates(text, family, piece)
    elif family.rates is not None:
        free = (family.rates,)
    fields["parameters"] = free + asked[1] + fields["parameters"]
    return ModelSpec(text, name, 4, **fields, **asked[0])


def _fixed_rates(text: str, family: DnaFamily, piece: Piece) -> tuple[float, ...]:
    """Return the given kappa, or the rates of the classes; that of GT may be left out and is 1."""
    n_classes = family.n_classes
    expected, wanted = (n_classes - 1, n_classes), f"the rates {' '.join(family.labels)} (the "
    wanted += "last may be left out and is then 1)"
    if n_classes == 1:
        expected, wanted = (), "no values"
    elif family.has_kappa:
        expected, wanted = (1,), "one positive kappa"
    values = piece.values
    if expected and any(piece.labels):
        values = (
            values_in_order(text, piece, ("kappa",))
            if family.has_kappa
            else _rates_of_classes(text, family, piece)
        )
    if len(values) not in expected or max(values) <= 0:
        raise UserError(f"model '{text}': {family.name} takes {wanted}, found {len(values)} values")
    return values if family.has_kappa or len(values) == n_classes else (*values, 1.0)


def _rates_of_classes(text: str, family: DnaFamily, piece: Piece) -> tuple[float, ...]:
    """Return the rates of the classes from labels of pairs, such as AG=4,CT=6."""
    given = labelled_values(text, piece, GTR_PAIRS)
    rates: dict[int, tuple[str, float]] = {}
    for pair, number in zip(GTR_PAIRS, family.class_of_pair, strict=True):
        if pair not in given:
            continue
        first, rate = rates.setdefault(number, (pair, given[pair]))
        if rate != given[pair]:
            raise UserError(
                f"model '{text}': {first} and {pair} have the same rate in {family.name}; "
                f"found {rate:g} and {given[pair]:g}"
            )
    missing = set(range(family.n_classes - 1)) - set(rates)
    if missing:
        raise UserError(
            f"model '{text}': '{piece.text}' has no value of {family.labels[min(missing)]}"
        )
    return tuple(rates[number][1] for number in sorted(rates))


def _protein_spec(
    text: str, name: str, piece: Piece, suffixes: dict[str, tuple[int, Piece]]
) -> ModelSpec:
    if piece.values:
        raise UserError(f"model '{text}': {name} takes no values; frequencies go into '+F{{...}}'")
    if name in FOUR_MATRICES:
        return _four_matrices_spec(text, name, suffixes)
    fields = _common(text, suffixes)
    asked = _frequency_fields(text, suffixes, AMINO_ACIDS)
    mixture = name if name in PROFILES else ""
    if "C" in suffixes:
        if mixture:
            raise UserError(f"model '{text}': two sets of profiles; give one")
        if suffixes["C"][1].values:
            raise UserError(f"model '{text}': '+C{suffixes['C'][0]}' takes no values")
        mixture = f"C{suffixes['C'][0]}"
    if mixture and asked is not None:
        raise UserError(f"model '{text}': {mixture} has frequencies of its own; leave out +F")
    asked = asked or ({}, ())
    fields["parameters"] = asked[1] + fields["parameters"]
    family = "Poisson" if name in PROFILES else name
    return ModelSpec(text, family, 20, profiles=mixture, **fields, **asked[0])


def _morphology_spec(
    text: str, name: str, piece: Piece, suffixes: dict[str, tuple[int, Piece]]
) -> ModelSpec:
    if piece.values:
        raise UserError(
            f"model '{text}': {name} takes no values; each character has the states up to its "
            "highest one"
        )
    wrong = [kind for kind in ("F", "FO", "C") if kind in suffixes]
    if wrong:
        raise UserError(f"model '{text}': {name} has equal frequencies; leave out +{wrong[0]}")
    if MORPHOLOGY_MODELS[name]:
        if "ASC" in suffixes:
            raise UserError(f"model '{text}': '+ASC' is part of {name}; leave it out")
        suffixes = {**suffixes, "ASC": (1, piece)}
    return MorphologySpec(text, "MK", 0, **_common(text, suffixes))


def _four_matrices_spec(text: str, name: str, suffixes: dict[str, tuple[int, Piece]]) -> ModelSpec:
    """Return LG4M, whose rates are those of +G4, or LG4X, whose rates are those of +R4."""
    own, other = ("G", "R") if name == "LG4M" else ("R", "G")
    refused = [kind for kind in suffixes if kind in (other, "F", "FO", "FQ", "C")]
    if refused or suffixes.get(own, (4,))[0] != 4:
        raise UserError(
            f"model '{text}': {name} has frequencies of its own and four categories of rates; it "
            f"takes +{own}4 and +I"
        )
    fields = _common(text, {own: (4, Piece(f"{own}4", f"{own}4", (), ())), **suffixes})
    if own == "R":
        fields["parameters"] = tuple(
            replace(parameter, kind="unordered_rates")
            if parameter.name == "free_rates"
            else parameter
            for parameter in fields["parameters"]
        )
    return ModelSpec(text, name, 20, **fields)


_SPECS = {"protein": _protein_spec, "standard": _morphology_spec}
