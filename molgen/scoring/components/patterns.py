"""Components that compare molecules and find patterns: similarity, SMARTS, alerts, catalogues."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rdkit import Chem
from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

from molgen.molecules.reading import read_pattern
from molgen.scoring.components.fingerprints import FINGERPRINTS, similarity_to
from molgen.scoring.registry import Kind, Parameter, register

__all__ = ["CATALOGUES"]

MoleculeFunction = Callable[[Chem.Mol], float]

CATALOGUES = {
    "PAINS": FilterCatalogParams.FilterCatalogs.PAINS,
    "BRENK": FilterCatalogParams.FilterCatalogs.BRENK,
    "NIH": FilterCatalogParams.FilterCatalogs.NIH,
    "ZINC": FilterCatalogParams.FilterCatalogs.ZINC,
}


def _similarity(parameters: dict[str, Any]) -> MoleculeFunction:
    texts = parameters["smiles"]
    if not texts:
        raise ValueError("'smiles' is empty; give at least one molecule")
    references = [similarity_to(text, parameters["fingerprint"]) for text in texts]
    return lambda mol: max(reference(mol) for reference in references)


def _substructure(parameters: dict[str, Any]) -> MoleculeFunction:
    pattern = read_pattern(parameters["smarts"])
    chirality = parameters["chirality"]
    return lambda mol: float(mol.HasSubstructMatch(pattern, useChirality=chirality))


def _count(parameters: dict[str, Any]) -> MoleculeFunction:
    pattern = read_pattern(parameters["smarts"])
    # RDKit stops at 1000 matches by default
    return lambda mol: float(len(mol.GetSubstructMatches(pattern, maxMatches=100_000)))


def _alerts(parameters: dict[str, Any]) -> MoleculeFunction:
    if not parameters["smarts"]:
        raise ValueError("'smarts' is empty; give at least one pattern")
    patterns = [read_pattern(text) for text in parameters["smarts"]]
    return lambda mol: float(not any(mol.HasSubstructMatch(pattern) for pattern in patterns))


@functools.cache
def _catalogue(name: str) -> FilterCatalog:
    return FilterCatalog(FilterCatalogParams(CATALOGUES[name]))


def _catalogues(parameters: dict[str, Any]) -> MoleculeFunction:
    for name in parameters["catalogs"]:
        if name not in CATALOGUES:
            raise ValueError(f"there is no catalogue '{name}' (there are: {', '.join(CATALOGUES)})")
    if not parameters["catalogs"]:
        raise ValueError(f"'catalogs' is empty (there are: {', '.join(CATALOGUES)})")
    found = [_catalogue(name) for name in parameters["catalogs"]]
    return lambda mol: float(not any(catalogue.HasMatch(mol) for catalogue in found))


_SMARTS = Parameter("smarts", "text", "the pattern")

register(
    Kind(
        "similarity",
        "Structure",
        "Tanimoto similarity to the most similar of the given molecules, on unfolded counts",
        _similarity,
        (
            Parameter("smiles", "texts", "reference molecules"),
            Parameter("fingerprint", "text", "type of the fingerprint", "ECFP4", FINGERPRINTS),
        ),
    )
)
register(
    Kind(
        "substructure",
        "Structure",
        "1 if a SMARTS pattern is found, otherwise 0",
        _substructure,
        (_SMARTS, Parameter("chirality", "switch", "whether chirality must match", False)),
    )
)
register(
    Kind(
        "substructure_count",
        "Structure",
        "number of matches of a SMARTS pattern",
        _count,
        (_SMARTS,),
        unit=False,
    )
)
register(
    Kind(
        "alerts",
        "Structure",
        "1 if none of the given SMARTS patterns is found, otherwise 0",
        _alerts,
        (Parameter("smarts", "texts", "unwanted patterns"),),
    )
)
register(
    Kind(
        "alert_catalog",
        "Structure",
        "1 if no alert of RDKit's filter catalogues is found, otherwise 0",
        _catalogues,
        (
            Parameter(
                "catalogs", "texts", f"names: {', '.join(CATALOGUES)}", ["PAINS", "BRENK", "NIH"]
            ),
        ),
    )
)
