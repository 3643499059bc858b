"""The goal-directed objectives of GuacaMol that need only RDKit.

Formulas, molecules and thresholds are those of suite "v2" (Brown, Fiscato, Segler, Vaucher 2019, J.
Chem. Inf. Model. 59:1096-1108, as in version 0.5.5 of the package ``guacamol``), under their names
in the PMO benchmark (Gao et al. 2022). PMO took its objectives from TDC, where the terms for a
molecular formula (isomers, sitagliptin, zaleplon) were changed; this module follows GuacaMol:
hydrogens are counted, and the means are geometric.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from rdkit import Chem
from rdkit.Chem import Descriptors, rdMolDescriptors

from molgen.molecules.reading import logp, read_molecule, read_pattern
from molgen.scoring.components.fingerprints import FINGERPRINTS, similarity_to
from molgen.scoring.registry import Kind, Parameter, register

__all__ = ["OBJECTIVES", "count_element", "formula_counts"]

MoleculeFunction = Callable[[Chem.Mol], float]

_SITAGLIPTIN = "Fc1cc(c(F)cc1F)CC(N)CC(=O)N3Cc2nnc(n2CC3)C(F)(F)F"
_RANOLAZINE = "COc1ccccc1OCC(O)CN2CCN(CC(=O)Nc3c(C)cccc3C)CC2"
_OSIMERTINIB = "COc1cc(N(C)CCN(C)C)c(NC(=O)C=C)cc1Nc2nccc(n2)c3cn(C)c4ccccc34"
_FEXOFENADINE = "CC(C)(C(=O)O)c1ccc(cc1)C(O)CCCN2CCC(CC2)C(O)(c3ccccc3)c4ccccc4"
_PERINDOPRIL = "O=C(OCC)C(NC(C(=O)N1C(C(=O)O)CC2CCCCC12)C)CCC"
_AMLODIPINE = r"Clc1ccccc1C2C(=C(/N/C(=C2/C(=O)OCC)COCCN)C)\C(=O)OC"
_ZALEPLON = "O=C(C)N(CC)C1=CC=CC(C2=CC=NC3=C(C=NN23)C#N)=C1"
_CAMPHOR, _MENTHOL = "CC1(C)C2CCC1(C)C(=O)C2", "CC(C)C1CCC(C)CC1O"
_TADALAFIL = "O=C1N(CC(N2C1CC3=C(C2C4=CC5=C(OCO5)C=C4)NC6=C3C=CC=C6)=O)C"
_SILDENAFIL = "CCCC1=NN(C2=C1N=C(NC2=O)C3=C(C=CC(=C3)S(=O)(=O)N4CCN(CC4)C)OCC)C"
_HOP_START = "CCCOc1cc2ncnc(Nc3ccc4ncsc4c3)c2cc1S(=O)(=O)C(C)(C)C"
_HOP_SCAFFOLD = "[#7]-c1n[c;h1]nc2[c;h1]c(-[#8])[c;h0][c;h1]c12"
_HOP_DECORATION = "[#6]-[#6]-[#6]-[#8]-[#6]~[#6]~[#6]~[#6]~[#6]-[#7]-c1ccc2ncsc2c1"
_VALSARTAN_PART = "CN(C=O)Cc1ccc(c2ccccc2)cc1"


_bertz: MoleculeFunction = dict(Descriptors.descList)["BertzCT"]


def _bell(measure: MoleculeFunction, mu: float, sigma: float) -> MoleculeFunction:
    return lambda mol: math.exp(-0.5 * ((measure(mol) - mu) / sigma) ** 2)


def _at_least(measure: MoleculeFunction, mu: float, sigma: float) -> MoleculeFunction:
    """Return 1 from ``mu`` on, and half a Gaussian below."""
    return _bell(lambda mol: min(measure(mol), mu), mu, sigma)


def _at_most(measure: MoleculeFunction, mu: float, sigma: float) -> MoleculeFunction:
    """Return 1 up to ``mu``, and half a Gaussian above."""
    return _bell(lambda mol: max(measure(mol), mu), mu, sigma)


def _capped(measure: MoleculeFunction, full: float) -> MoleculeFunction:
    """Return a linear increase from 0 to 1 at ``full``."""
    return lambda mol: min(measure(mol) / full, 1.0)


def _geometric(terms: Sequence[MoleculeFunction]) -> MoleculeFunction:
    return lambda mol: math.prod(term(mol) for term in terms) ** (1.0 / len(terms))


def _arithmetic(terms: Sequence[MoleculeFunction]) -> MoleculeFunction:
    return lambda mol: sum(term(mol) for term in terms) / len(terms)


def _present(smarts: str) -> MoleculeFunction:
    pattern = read_pattern(smarts)
    return lambda mol: float(mol.HasSubstructMatch(pattern))


def _absent(smarts: str) -> MoleculeFunction:
    found = _present(smarts)
    return lambda mol: 1.0 - found(mol)


def count_element(mol: Chem.Mol, symbol: str) -> int:
    """Return the number of atoms of an element, implicit hydrogens included for ``"H"``."""
    explicit = sum(atom.GetSymbol() == symbol for atom in mol.GetAtoms())
    if symbol != "H":
        return explicit
    return explicit + sum(atom.GetTotalNumHs() for atom in mol.GetAtoms())


def formula_counts(formula: str) -> dict[str, int]:
    """Return the elements of a formula such as ``"C7H8N2O2"`` with their counts.

    Raises
    ------
    ValueError
        It is not a formula, or has an unknown or repeated element.
    """
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    if not parts or "".join(symbol + count for symbol, count in parts) != formula:
        raise ValueError(f"'{formula}' is not a molecular formula; write it as C7H8N2O2")
    table = Chem.GetPeriodicTable()
    counts: dict[str, int] = {}
    for symbol, count in parts:
        try:
            table.GetAtomicNumber(symbol)
        except RuntimeError:
            raise ValueError(f"'{formula}': there is no element '{symbol}'") from None
        if symbol in counts:
            raise ValueError(f"'{formula}' names {symbol} twice")
        counts[symbol] = int(count or 1)
    return counts


def _isomers(formula: str) -> MoleculeFunction:
    counts = formula_counts(formula)
    total = sum(counts.values())

    def score(mol: Chem.Mol) -> float:
        found = [count_element(mol, symbol) for symbol in counts]
        atoms = mol.GetNumAtoms() + sum(atom.GetTotalNumHs() for atom in mol.GetAtoms())
        squares = sum((n - m) ** 2 for n, m in zip(found, counts.values(), strict=True))
        # bells of width 1 for each element and of width 2 for all atoms
        exponent = -0.5 * (squares + ((atoms - total) / 2.0) ** 2)
        return math.exp(exponent / (len(counts) + 1))

    return score


def _logp_tpsa_of(mol: Chem.Mol) -> list[MoleculeFunction]:
    return [
        _bell(logp, logp(mol), 0.2),
        _bell(rdMolDescriptors.CalcTPSA, rdMolDescriptors.CalcTPSA(mol), 5.0),
    ]


def _osimertinib() -> MoleculeFunction:
    return _geometric(
        [
            _capped(similarity_to(_OSIMERTINIB, "FCFP4"), 0.8),
            _at_most(similarity_to(_OSIMERTINIB, "ECFP6"), 0.85, 0.1),
            _at_least(rdMolDescriptors.CalcTPSA, 100, 10),
            _at_most(logp, 1, 1),
        ]
    )


def _fexofenadine() -> MoleculeFunction:
    return _geometric(
        [
            _capped(similarity_to(_FEXOFENADINE, "AP"), 0.8),
            _at_least(rdMolDescriptors.CalcTPSA, 90, 10),
            _at_most(logp, 4, 1),
        ]
    )


def _ranolazine() -> MoleculeFunction:
    return _geometric(
        [
            _capped(similarity_to(_RANOLAZINE, "AP"), 0.7),
            _at_least(logp, 7, 1),
            _at_least(rdMolDescriptors.CalcTPSA, 95, 20),
            _bell(lambda mol: count_element(mol, "F"), 1, 1),
        ]
    )


def _perindopril() -> MoleculeFunction:
    return _geometric(
        [
            similarity_to(_PERINDOPRIL, "ECFP4"),
            _bell(rdMolDescriptors.CalcNumAromaticRings, 2, 0.5),
        ]
    )


def _amlodipine() -> MoleculeFunction:
    return _geometric(
        [similarity_to(_AMLODIPINE, "ECFP4"), _bell(rdMolDescriptors.CalcNumRings, 3, 0.5)]
    )


def _sitagliptin() -> MoleculeFunction:
    return _geometric(
        [
            _bell(similarity_to(_SITAGLIPTIN, "ECFP4"), 0.0, 0.1),
            *_logp_tpsa_of(read_molecule(_SITAGLIPTIN)),
            _isomers("C16H15F6N5O"),
        ]
    )


def _zaleplon() -> MoleculeFunction:
    return _geometric([similarity_to(_ZALEPLON, "ECFP4"), _isomers("C19H17N3O2")])


def _valsartan() -> MoleculeFunction:
    target = read_molecule(_SITAGLIPTIN)
    return _geometric(
        [
            _present(_VALSARTAN_PART),
            *_logp_tpsa_of(target),
            _bell(_bertz, _bertz(target), 30.0),
        ]
    )


def _deco_hop() -> MoleculeFunction:
    return _arithmetic(
        [
            _capped(similarity_to(_HOP_START, "PHCO"), 0.85),
            _absent("CS([#6])(=O)=O"),
            _absent("[#7]-c1ccc2ncsc2c1"),
            _present(_HOP_SCAFFOLD),
        ]
    )


def _scaffold_hop() -> MoleculeFunction:
    return _arithmetic(
        [
            _capped(similarity_to(_HOP_START, "PHCO"), 0.75),
            _present(_HOP_DECORATION),
            _absent(_HOP_SCAFFOLD),
        ]
    )


def _median(first: str, second: str, name: str) -> Callable[[], MoleculeFunction]:
    return lambda: _geometric([similarity_to(first, name), similarity_to(second, name)])


def _similar(smiles: str, name: str, full: float) -> Callable[[], MoleculeFunction]:
    return lambda: _capped(similarity_to(smiles, name), full)


_CELECOXIB = "CC1=CC=C(C=C1)C1=CC(=NN1C1=CC=C(C=C1)S(N)(=O)=O)C(F)(F)F"
_TROGLITAZONE = "Cc1c(C)c2OC(C)(COc3ccc(CC4SC(=O)NC4=O)cc3)CCc2c(C)c1O"
_THIOTHIXENE = "CN(C)S(=O)(=O)c1ccc2Sc3ccccc3C(=CCCN4CCN(C)CC4)c2c1"
_ARIPIPRAZOLE = "Clc4cccc(N3CCN(CCCCOc2ccc1c(NC(=O)CC1)c2)CC3)c4Cl"
_ALBUTEROL = "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1"
_MESTRANOL = "COc1ccc2[C@H]3CC[C@@]4(C)[C@@H](CC[C@@]4(O)C#C)[C@@H]3CCc2c1"

OBJECTIVES: dict[str, tuple[Callable[[], MoleculeFunction], str]] = {
    "celecoxib_rediscovery": (_similar(_CELECOXIB, "ECFP4", 1.0), "rediscover celecoxib"),
    "troglitazone_rediscovery": (_similar(_TROGLITAZONE, "ECFP4", 1.0), "rediscover troglitazone"),
    "thiothixene_rediscovery": (_similar(_THIOTHIXENE, "ECFP4", 1.0), "rediscover thiothixene"),
    "aripiprazole_similarity": (_similar(_ARIPIPRAZOLE, "FCFP4", 0.75), "similar to aripiprazole"),
    "albuterol_similarity": (_similar(_ALBUTEROL, "FCFP4", 0.75), "similar to albuterol"),
    "mestranol_similarity": (_similar(_MESTRANOL, "AP", 0.75), "similar to mestranol"),
    "median1": (_median(_CAMPHOR, _MENTHOL, "ECFP4"), "similar to both camphor and menthol"),
    "median2": (
        _median(_TADALAFIL, _SILDENAFIL, "ECFP6"),
        "similar to both tadalafil and sildenafil",
    ),
    "isomers_c7h8n2o2": (lambda: _isomers("C7H8N2O2"), "isomers of C7H8N2O2"),
    "isomers_c9h10n2o2pf2cl": (
        lambda: _isomers("C9H10N2O2PF2Cl"),
        "isomers of C9H10N2O2PF2Cl",
    ),
    "isomers_c11h24": (lambda: _isomers("C11H24"), "isomers of C11H24"),
    "osimertinib_mpo": (_osimertinib, "similar to osimertinib, but more polar"),
    "fexofenadine_mpo": (_fexofenadine, "similar to fexofenadine, but less lipophilic"),
    "ranolazine_mpo": (_ranolazine, "similar to ranolazine, but more polar and with a fluorine"),
    "perindopril_mpo": (_perindopril, "similar to perindopril, with two aromatic rings"),
    "amlodipine_mpo": (_amlodipine, "similar to amlodipine, with three rings"),
    "sitagliptin_mpo": (_sitagliptin, "different from sitagliptin, with its properties"),
    "zaleplon_mpo": (_zaleplon, "similar to zaleplon, with another formula"),
    "valsartan_smarts": (
        _valsartan,
        "with a substructure of valsartan and properties of sitagliptin",
    ),
    "deco_hop": (_deco_hop, "keep the scaffold, change the decoration"),
    "scaffold_hop": (_scaffold_hop, "keep the decoration, change the scaffold"),
}


def _isomers_kind(parameters: dict[str, Any]) -> MoleculeFunction:
    return _isomers(parameters["formula"])


def _median_kind(parameters: dict[str, Any]) -> MoleculeFunction:
    if len(parameters["smiles"]) < 2:
        raise ValueError("'smiles' needs two molecules or more")
    name = parameters["fingerprint"]
    return _geometric([similarity_to(smiles, name) for smiles in parameters["smiles"]])


register(
    Kind(
        "isomers",
        "GuacaMol",
        "similarity to a molecular formula",
        _isomers_kind,
        (Parameter("formula", "text", "formula, for instance 'C7H8N2O2'"),),
    )
)
register(
    Kind(
        "median_molecule",
        "GuacaMol",
        "geometric mean of the similarities to the given molecules",
        _median_kind,
        (
            Parameter("smiles", "texts", "reference molecules"),
            Parameter("fingerprint", "text", "type of the fingerprint", "ECFP4", FINGERPRINTS),
        ),
    )
)
for _name, (_make, _words) in OBJECTIVES.items():
    register(Kind(_name, "GuacaMol", _words, lambda _, make=_make: make(), preset=True))
