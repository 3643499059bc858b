"""Components that are numbers of one molecule: RDKit descriptors, QED, SA score, limits of size."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from rdkit import Chem, RDConfig
from rdkit.Chem import Descriptors, rdMolDescriptors

from gfncore.text.hints import did_you_mean
from molgen.molecules.reading import logp
from molgen.scoring.components.qed import qed
from molgen.scoring.registry import Kind, Parameter, register

__all__ = ["descriptor_kind", "descriptor_names", "largest_ring", "sa_score"]

MoleculeFunction = Callable[[Chem.Mol], float]

_DESCRIPTORS: dict[str, MoleculeFunction] = dict(Descriptors.descList)


def largest_ring(mol: Chem.Mol) -> int:
    """Return the size of the largest of the smallest rings; 0 if there is none."""
    return max((len(ring) for ring in mol.GetRingInfo().AtomRings()), default=0)


def molar_refractivity(mol: Chem.Mol) -> float:
    """Return the molar refractivity after Wildman and Crippen."""
    return rdMolDescriptors.CalcCrippenDescriptors(mol)[1]


def smallest_ring(mol: Chem.Mol) -> int:
    """Return the size of the smallest ring; 0 if there is none."""
    return min((len(ring) for ring in mol.GetRingInfo().AtomRings()), default=0)


@functools.cache
def _sascorer() -> ModuleType:
    """Return RDKit's own implementation, which is part of its contributions.

    It is loaded from its file, because the folder is not a package.
    """
    path = Path(RDConfig.RDContribDir) / "SA_Score" / "sascorer.py"
    spec = importlib.util.spec_from_file_location("molgen_sascorer", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"this RDKit comes without {path}, which the SA score needs")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def sa_score(mol: Chem.Mol) -> float:
    """Return the synthetic accessibility of Ertl and Schuffenhauer (2009): 1 easy, 10 hard.

    J. Cheminformatics 1:8, with RDKit's fragment scores and its later changes to the formula.

    Raises
    ------
    ValueError
        The molecule has no atoms.
    """
    score = _sascorer().calculateScore(mol)
    if score is None:
        raise ValueError("a molecule without atoms has no SA score")
    return float(score)


def _build(function: MoleculeFunction) -> Callable[[dict[str, Any]], MoleculeFunction]:
    return lambda _: function


def descriptor_names() -> list[str]:
    """Return the names that ``rdkit.Chem.Descriptors`` lists."""
    return list(_DESCRIPTORS)


def descriptor_kind(name: str) -> Kind | None:
    """Return the kind for one name of ``rdkit.Chem.Descriptors``, or None."""
    function = _DESCRIPTORS.get(name)
    if function is None:
        return None
    return Kind(name, "RDKit descriptors", f"{name} of RDKit", _build(function), unit=False)


def _named_descriptor(parameters: dict[str, Any]) -> MoleculeFunction:
    name = parameters["name"]
    if name not in _DESCRIPTORS:
        raise ValueError(
            f"RDKit has no descriptor '{name}'{did_you_mean(name, list(_DESCRIPTORS))}"
        )
    return _DESCRIPTORS[name]


def _within(parameters: dict[str, Any]) -> MoleculeFunction:
    """Return 1 if all properties are within their limits, otherwise 0."""
    tests = [
        (measure, parameters[f"min_{name}"], parameters[f"max_{name}"])
        for name, (measure, _) in _LIMITED.items()
        if parameters[f"min_{name}"] is not None or parameters[f"max_{name}"] is not None
    ]
    if not tests:
        raise ValueError("give at least one limit, such as max_weight = 500")
    for _, low, high in tests:
        if low is not None and high is not None and low > high:
            raise ValueError(f"a lower limit of {low:g} is above its upper limit of {high:g}")

    def inside(mol: Chem.Mol) -> float:
        for measure, low, high in tests:
            value = measure(mol)
            if (low is not None and value < low) or (high is not None and value > high):
                return 0.0
        return 1.0

    return inside


# name -> function, words
_SIMPLE: dict[str, tuple[MoleculeFunction, str]] = {
    "weight": (_DESCRIPTORS["MolWt"], "molecular weight (g/mol)"),
    "logp": (logp, "log P (Wildman-Crippen)"),
    "tpsa": (rdMolDescriptors.CalcTPSA, "topological polar surface area (square ångström)"),
    "hba": (rdMolDescriptors.CalcNumHBA, "number of hydrogen-bond acceptors"),
    "hbd": (rdMolDescriptors.CalcNumHBD, "number of hydrogen-bond donors"),
    "rotatable_bonds": (rdMolDescriptors.CalcNumRotatableBonds, "number of rotatable bonds"),
    "heavy_atoms": (Chem.Mol.GetNumHeavyAtoms, "number of heavy atoms"),
    "heteroatoms": (rdMolDescriptors.CalcNumHeteroatoms, "number of heteroatoms"),
    "rings": (rdMolDescriptors.CalcNumRings, "number of rings (smallest set of smallest rings)"),
    "aromatic_rings": (rdMolDescriptors.CalcNumAromaticRings, "number of aromatic rings"),
    "aliphatic_rings": (rdMolDescriptors.CalcNumAliphaticRings, "number of aliphatic rings"),
    "largest_ring": (largest_ring, "size of the largest ring, 0 without rings"),
    "smallest_ring": (smallest_ring, "size of the smallest ring, 0 without rings"),
    "spiro_atoms": (_DESCRIPTORS["NumSpiroAtoms"], "number of spiro atoms"),
    "bridgehead_atoms": (_DESCRIPTORS["NumBridgeheadAtoms"], "number of bridgehead atoms"),
    "stereocentres": (
        rdMolDescriptors.CalcNumAtomStereoCenters,
        "number of tetrahedral stereocentres, specified or not",
    ),
    "charge": (Chem.GetFormalCharge, "formal charge"),
    "molar_refractivity": (molar_refractivity, "molar refractivity (Wildman-Crippen)"),
    "complexity": (_DESCRIPTORS["BertzCT"], "Bertz complexity index"),
}
_LIMITED = {
    name: _SIMPLE[name]
    for name in (
        "weight",
        "logp",
        "tpsa",
        "hba",
        "hbd",
        "rotatable_bonds",
        "heavy_atoms",
        "rings",
        "largest_ring",
        "smallest_ring",
        "stereocentres",
    )
}

register(
    Kind(
        "qed",
        "Drug-likeness",
        "quantitative estimate of drug-likeness (Bickerton et al. 2012), as in RDKit",
        _build(qed),
        preset=True,
    )
)
register(
    Kind(
        "sa_score",
        "Drug-likeness",
        "synthetic accessibility, 1 easy to 10 hard (Ertl and Schuffenhauer 2009)",
        _build(sa_score),
        unit=False,
        transform={"type": "linear", "low": 10.0, "high": 1.0},
        preset=True,
    )
)
for _name, (_function, _words) in _SIMPLE.items():
    register(Kind(_name, "Descriptors", _words, _build(_function), unit=False))
register(
    Kind(
        "fraction_csp3",
        "Descriptors",
        "fraction of sp3 carbon atoms",
        _build(rdMolDescriptors.CalcFractionCSP3),
        preset=True,
    )
)
register(
    Kind(
        "descriptor",
        "Descriptors",
        "any descriptor of rdkit.Chem.Descriptors (its name can also be used as a type)",
        _named_descriptor,
        (Parameter("name", "text", "name of the descriptor, for instance 'BertzCT'"),),
        unit=False,
    )
)
register(
    Kind(
        "limits",
        "Descriptors",
        "1 if all properties are within their limits (inclusive), otherwise 0",
        _within,
        tuple(
            Parameter(f"{end}_{name}", "number", f"{word} limit: {words}", None)
            for name, (_, words) in _LIMITED.items()
            for end, word in (("min", "lower"), ("max", "upper"))
        ),
    )
)


def _lipinski(_: dict[str, Any]) -> MoleculeFunction:
    def broken(mol: Chem.Mol) -> float:
        return float(
            (_DESCRIPTORS["MolWt"](mol) > 500)
            + (logp(mol) > 5)
            + (rdMolDescriptors.CalcNumLipinskiHBD(mol) > 5)
            + (rdMolDescriptors.CalcNumLipinskiHBA(mol) > 10)
        )

    return broken


register(
    Kind(
        "lipinski_violations",
        "Drug-likeness",
        "number of violations of Lipinski's four rules",
        _lipinski,
        unit=False,
        transform={"type": "value_map", "values": [0, 1], "scores": [1.0, 0.5], "other": 0.0},
    )
)
