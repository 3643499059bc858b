"""Conversion of text to RDKit molecules; the only module that does this.

Errors and output of RDKit never leave this module: a text that is not a molecule raises
`SmilesError`, whose message completes a sentence. Some texts are refused before RDKit reads them,
because it would read another molecule (labels above 16 bits and charges above 8 bits wrap around,
letters beyond ASCII are ignored) or crash (chains of 10^5 atoms).

`plain_mol` returns the normal form of molecules that this program builds: implicit hydrogens and no
stereochemistry, isotopes or atom maps. Its second result names the ignored properties.
"""

from __future__ import annotations

import re

from rdkit import Chem, rdBase

__all__ = [
    "SmilesError",
    "check_text",
    "dummy_number",
    "mol_from_smiles",
    "plain_mol",
    "silence_rdkit",
]

LONGEST = 10_000  # characters; RDKit writes SMILES by recursion and overflows the stack near 10^5
LARGEST_NUMBER = {"isotope or label": 999, "hydrogen count": 9, "charge": 9, "atom map": 99_999}
_BRACKET = re.compile(
    r"\[(?P<isotope>\d*)(?:\*|[A-Za-z][a-z]?)[@A-Z0-9]*?(?:H(?P<hydrogens>\d*))?"
    r"(?:[+-](?P<charge>\d*)[+-]*)?(?::(?P<map>\d*))?\]"
)
_NAMES = {
    "isotope": "isotope or label",
    "hydrogens": "hydrogen count",
    "charge": "charge",
    "map": "atom map",
}


class SmilesError(ValueError):
    """Why a text is not a usable molecule; half a sentence, such as "has no atom"."""


def silence_rdkit() -> None:
    """Switch off RDKit's own messages in this process, which name neither file nor line."""
    rdBase.DisableLog("rdApp.*")


def mol_from_smiles(smiles: str) -> Chem.Mol:
    """Read a SMILES with stereochemistry, isotopes and atom maps, and return the molecule.

    Raises
    ------
    SmilesError
        The text is not a molecule; the message gives the reason.

    """
    smiles = smiles.strip()
    check_text(smiles)
    with rdBase.BlockLogs():
        try:
            mol = Chem.MolFromSmiles(smiles)
            problem = "" if mol is not None else _chemistry_problem(smiles)
        except Exception:  # RDKit throws several kinds, for instance where numbers are out of range
            raise SmilesError("cannot be read by RDKit; check rings and brackets") from None
    if mol is None:
        raise SmilesError(
            f"is not a valid molecule ({problem})" if problem else "is not a valid SMILES"
        )
    if mol.GetNumAtoms() == 0:
        raise SmilesError("has no atom")
    return mol


def _chemistry_problem(smiles: str) -> str:
    """Return RDKit's message on a molecule that can be parsed but not sanitised."""
    mol = Chem.MolFromSmiles(smiles, sanitize=False)
    problems = [] if mol is None else Chem.DetectChemistryProblems(mol)
    reason = " ".join(problems[0].Message().split()) if problems else ""
    return reason[:1].lower() + reason[1:]


def check_text(smiles: str) -> None:
    """Refuse a text that RDKit would misread, or that would crash it.

    Raises
    ------
    SmilesError
    """
    if not smiles.strip():
        raise SmilesError("has no atom")
    if len(smiles) > LONGEST:
        raise SmilesError(f"has {len(smiles):,} characters; the maximum is {LONGEST:,}")
    strange = next((c for c in smiles if not c.isascii() or not c.isprintable()), None)
    if strange is not None:
        raise SmilesError(f"has the character {strange!r}, which does not occur in SMILES")
    if "~" in smiles:
        raise SmilesError("has the bond '~' (any bond), which is allowed only in search patterns")
    if len(smiles.split()) > 1:
        raise SmilesError("has a blank inside; give one SMILES without a name")
    for atom in _BRACKET.finditer(smiles):
        for key, name in _NAMES.items():
            digits = atom[key] or ""
            if len(digits) > 6 or (digits and int(digits) > LARGEST_NUMBER[name]):
                short = atom[0] if len(atom[0]) <= 20 else atom[0][:19] + "…"
                raise SmilesError(
                    f"has the atom {short}, whose {name} is above {LARGEST_NUMBER[name]:,}"
                )


def plain_mol(smiles: str) -> tuple[Chem.Mol, tuple[str, ...]]:
    """Read a SMILES into the normal form of molecules that are built.

    Returns
    -------
    mol : Mol
        Sanitised. Attachment points (atomic number 0) keep their numbers.
    left_out : tuple of str
        Which of "stereo marks", "isotopes" and "atom maps" the text has.

    Raises
    ------
    SmilesError
    """
    mol = mol_from_smiles(smiles)
    left_out = []
    if any(c in smiles for c in "@/\\"):
        left_out.append("stereo marks")
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() > 0:
            if atom.GetIsotope():
                left_out.append("isotopes")
                atom.SetIsotope(0)
            if atom.GetAtomMapNum():
                left_out.append("atom maps")
                atom.SetAtomMapNum(0)
    Chem.RemoveStereochemistry(mol)
    if any(atom.GetAtomicNum() == 1 for atom in mol.GetAtoms()):
        mol = _without_hydrogens(mol)
    return mol, tuple(dict.fromkeys(left_out))


def _without_hydrogens(mol: Chem.Mol) -> Chem.Mol:
    """Return the molecule with all hydrogens implicit, even those that RDKit keeps explicit."""
    if all(atom.GetAtomicNum() <= 1 for atom in mol.GetAtoms()):
        raise SmilesError(
            "consists of hydrogen only; open attachment points are filled with hydrogen "
            "automatically"
        )
    what = Chem.RemoveHsParameters()
    for name in dir(what):
        if name.startswith("remove") and isinstance(getattr(what, name), bool):
            setattr(what, name, True)
    what.removeAndTrackIsotopes = what.removeHigherDegrees = what.removeHydrides = False
    what.removeDegreeZero = False
    what.showWarnings = False
    with rdBase.BlockLogs():
        try:
            mol = Chem.RemoveHs(mol, what)
        except (ValueError, RuntimeError):
            raise SmilesError("has hydrogen atoms that cannot be made implicit") from None
    if any(atom.GetAtomicNum() == 1 for atom in mol.GetAtoms()):
        raise SmilesError("has a hydrogen atom that does not have exactly one single bond")
    return mol


def dummy_number(atom: Chem.Atom) -> int:
    """Return the number of an attachment point, written ``[*:2]`` or ``[2*]``; 0 for none.

    Raises
    ------
    SmilesError
        It has two different numbers, a charge or hydrogens.
    """
    if atom.GetFormalCharge() or atom.GetTotalNumHs():
        raise SmilesError("has an attachment point with a charge or hydrogens; write [*]")
    number, label = atom.GetAtomMapNum(), atom.GetIsotope()
    if number and label and number != label:
        raise SmilesError(
            f"has an attachment point with two numbers, {label} and {number}; give it one"
        )
    return number or label
