"""Fragments and molecules as they come from SMILES, atom by atom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rdkit import Chem, rdBase

from molgen.molecules.smiles import SmilesError, dummy_number, plain_mol

__all__ = [
    "KIND_FIELDS",
    "Fragment",
    "FragmentError",
    "atom_token",
    "canonical_smiles",
    "element_numbers",
    "read_fragment",
    "read_molecule",
]

KIND_FIELDS = 8
ORDERS = {
    Chem.BondType.SINGLE: 1,
    Chem.BondType.DOUBLE: 2,
    Chem.BondType.TRIPLE: 3,
    Chem.BondType.AROMATIC: 4,
}
# valences that SMILES takes for granted where an atom is written without brackets
USUAL_VALENCES = {
    5: (3,), 6: (4,), 7: (3, 5), 8: (2,), 9: (1,), 15: (3, 5), 16: (2, 4, 6), 17: (1,), 35: (1,),
    53: (1,),
}  # fmt: skip


class FragmentError(ValueError):
    """Why a SMILES cannot be used as a fragment; half a sentence."""


@dataclass(frozen=True)
class Fragment:
    """One fragment of n atoms.

    Attributes
    ----------
    smiles : str
        Canonical, with its attachment points as ``[*]``, or ``[3*]`` with a label.
    kinds : ndarray, shape (n, 8), int16
        See `molgen.fragments.vocabulary.Vocabulary.kinds`. open, labels, hydrogens : ndarray, shape
        (n,), int16 Attachment points, their label, and further hydrogens.
    bonds : ndarray, shape (m, 3), int16
        u, v, and order 1..3, or 4 for aromatic.
    left_out : tuple of str
        Properties of the text that are ignored, such as "stereo marks".
    """

    smiles: str
    kinds: np.ndarray
    open: np.ndarray
    labels: np.ndarray
    hydrogens: np.ndarray
    bonds: np.ndarray
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.open)


def _kinds_and_bonds(mol: Chem.Mol) -> tuple[np.ndarray, np.ndarray]:
    bonds, multiple = [], [[0, 0, 0] for _ in range(mol.GetNumAtoms())]
    for bond in mol.GetBonds():
        order = ORDERS.get(bond.GetBondType())
        if order is None:
            raise FragmentError(f"unsupported bond type {bond.GetBondType()}; use single to triple")
        u, v = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        bonds.append((u, v, order))
        if order > 1:
            multiple[u][order - 2] += 1
            multiple[v][order - 2] += 1
    kinds = []
    for atom, orders in zip(mol.GetAtoms(), multiple, strict=True):
        if atom.GetNumRadicalElectrons():
            raise FragmentError("an atom has an unpaired electron; give it its hydrogens")
        kinds.append(
            (
                atom.GetAtomicNum(),
                atom.GetFormalCharge(),
                atom.GetIsAromatic(),
                atom.IsInRing(),
                atom.GetTotalNumHs() + atom.GetDegree(),
                *orders,
            )
        )
    return (
        np.array(kinds, np.int16).reshape(-1, KIND_FIELDS),
        np.array(bonds, np.int16).reshape(-1, 3),
    )


def read_fragment(smiles: str, *, labels_are_numbers: bool = False) -> Fragment:
    """Read a SMILES with attachment points, ``[*]``, and return the fragment.

    A number after a colon, ``[*:2]``, as written by RDKit and REINVENT, only distinguishes
    attachment points; a number before the star, ``[2*]``, is a label to which rules of a fragment
    file refer.

    Parameters
    ----------
    smiles : str
    labels_are_numbers : bool
        Whether to interpret ``[2*]`` as ``[*:2]``, as in cores.

    Raises
    ------
    FragmentError
        The SMILES cannot be used; the message gives the reason.
    """
    try:
        mol, left_out = plain_mol(smiles)
        numbered = _labelled(mol, labels_are_numbers)
    except SmilesError as error:
        raise FragmentError(f"it {error}") from None
    if numbered and not labels_are_numbers:
        left_out = (*left_out, "numbers of attachment points")
    text = Chem.MolToSmiles(mol)
    mol = Chem.MolFromSmiles(text)  # atoms in the order of the text that is kept
    places, labels, hydrogens = _places(mol)
    n = mol.GetNumAtoms()
    filled = Chem.RWMol(mol)
    atoms = [i for i in range(n) if mol.GetAtomWithIdx(i).GetAtomicNum() > 0]
    for i in atoms:  # hydrogens at the places: aromaticity as in molecules
        atom = filled.GetAtomWithIdx(i)
        atom.SetNoImplicit(True)
        atom.SetNumExplicitHs(int(places[i] + hydrogens[i]))
    for i in reversed(range(n)):
        if i not in atoms:
            filled.RemoveAtom(i)
    parts = len(Chem.GetMolFrags(filled))
    if parts != 1:
        kind = "core per run" if labels_are_numbers else "fragment per line"
        raise FragmentError(f"it is not connected (found {parts} parts); give one {kind}")
    with rdBase.BlockLogs():
        try:
            Chem.SanitizeMol(filled)
        except (ValueError, RuntimeError):
            raise FragmentError(
                "it does not give a valid molecule when its attachment points carry hydrogen"
            ) from None
    kinds, bonds = _kinds_and_bonds(filled)
    return Fragment(text, kinds, places[atoms], labels[atoms], hydrogens[atoms], bonds, left_out)


def _labelled(mol: Chem.Mol, labels_are_numbers: bool) -> bool:
    """Keep only the labels at attachment points, in place; return whether any had a number."""
    numbered = False
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() > 0:
            continue
        number, label = dummy_number(atom), atom.GetIsotope()
        numbered |= number > 0 and (labels_are_numbers or not label)
        atom.SetAtomMapNum(0)
        # a map number of 0 that is written out would come back in the text
        atom.ClearProp("molAtomMapNumber")
        if labels_are_numbers:
            atom.SetIsotope(0)
        if not atom.GetIsotope():
            atom.SetProp("smilesSymbol", "*")  # written as [*], the notation that people search for
    return numbered


def _places(mol: Chem.Mol) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return attachment points, labels and hydrogens of each atom; int16 (n,) each."""
    places, labels, hydrogens = (np.zeros(mol.GetNumAtoms(), np.int16) for _ in range(3))
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() > 0:
            hydrogens[atom.GetIdx()] = atom.GetTotalNumHs()
            continue
        bonds = atom.GetBonds()
        if len(bonds) != 1 or bonds[0].GetBondType() != Chem.BondType.SINGLE:
            raise FragmentError("an attachment point [*] must have exactly one bond, a single bond")
        neighbour = bonds[0].GetOtherAtom(atom)
        if neighbour.GetAtomicNum() == 0:
            raise FragmentError("it has no atom other than its attachment points; give it one")
        at, label = neighbour.GetIdx(), atom.GetIsotope()
        if places[at] and labels[at] != label:
            raise FragmentError(
                "two attachment points of one atom have different labels; give them the same "
                "label, or write numbers without a meaning as [*:1]"
            )
        places[at] += 1
        labels[at] = label
    if not places.any():
        raise FragmentError("it has no attachment point; mark one with [*]")
    return places, labels, hydrogens


def read_molecule(smiles: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return kinds (n, 8) and bonds (m, 3) of a molecule in normal form; None if unusable."""
    try:
        mol, _ = plain_mol(smiles)
        if len(Chem.GetMolFrags(mol)) != 1:
            return None
        return _kinds_and_bonds(mol)
    except (SmilesError, FragmentError):
        return None


def element_numbers() -> dict[str, int]:
    """Return the atomic numbers of the elements by their symbols."""
    table = Chem.GetPeriodicTable()
    return {table.GetElementSymbol(number): number for number in range(1, 119)}


def atom_token(kind: np.ndarray, hydrogens: int) -> str:
    """Return the SMILES of an atom of a kind with the given number of hydrogens."""
    number, charge, aromatic, _, connections, double, triple, _ = (int(x) for x in kind)
    symbol = Chem.GetPeriodicTable().GetElementSymbol(number)
    if aromatic:
        plain = (number == 6 and charge == 0 and connections == 3) or (
            number in (7, 8, 16) and charge == 0 and hydrogens == 0
        )
        symbol = symbol.lower()
    else:
        bonds = connections - hydrogens + double + 2 * triple
        valence = next((v for v in USUAL_VALENCES.get(number, ()) if v >= bonds), -1)
        plain = charge == 0 and valence - bonds == hydrogens
    if plain:
        return symbol
    sign = "" if charge == 0 else ("+" if charge > 0 else "-") * abs(charge)
    count = "" if hydrogens == 0 else "H" if hydrogens == 1 else f"H{hydrogens}"
    return f"[{symbol}{count}{sign}]"


def canonical_smiles(smiles: list[str]) -> list[str]:
    """Return canonical SMILES of strings written from fragments; "" is unchanged.

    Their valences and aromatic atoms are right already, as rings come whole out of a fragment:
    without looking at them again, this takes two thirds of the time.
    """
    out = []
    for text in smiles:
        mol = Chem.MolFromSmiles(text, sanitize=False)
        mol.UpdatePropertyCache(False)
        Chem.FastFindRings(mol)
        out.append(Chem.MolToSmiles(mol))
    return out
