"""Fragments and molecules as they come from SMILES, atom by atom."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from rdkit import Chem, rdBase

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
        Canonical, with its places.
    kinds : ndarray, shape(n, 8), dtype=int16
        See `molgen.vocabulary.Vocabulary.kinds`.
    open, labels, hydrogens : ndarray, shape(n,), dtype=int16
        Places, their label, and hydrogens beside them.
    bonds : ndarray, shape(m, 3), dtype=int16
        u, v, and order 1..3, or 4 for aromatic.
    """

    smiles: str
    kinds: np.ndarray
    open: np.ndarray
    labels: np.ndarray
    hydrogens: np.ndarray
    bonds: np.ndarray

    def __len__(self) -> int:
        return len(self.open)


def _kinds_and_bonds(mol: Chem.Mol) -> tuple[np.ndarray, np.ndarray]:
    bonds, multiple = [], [[0, 0, 0] for _ in range(mol.GetNumAtoms())]
    for bond in mol.GetBonds():
        order = ORDERS.get(bond.GetBondType())
        if order is None:
            raise FragmentError(f"a bond is of type {bond.GetBondType()}; use single to triple")
        u, v = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        bonds.append((u, v, order))
        if order > 1:
            multiple[u][order - 2] += 1
            multiple[v][order - 2] += 1
    kinds = []
    for atom, orders in zip(mol.GetAtoms(), multiple, strict=True):
        if atom.GetNumRadicalElectrons():
            raise FragmentError("an atom has an unpaired electron; give it its hydrogens")
        if atom.GetIsotope():
            raise FragmentError("an atom is an isotope; write the plain element")
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


def read_fragment(smiles: str) -> Fragment:
    """Read a SMILES with places, ``[*]`` or with a label ``[3*]``; stereo is left out.

    Raises
    ------
    FragmentError
        Says why it cannot be used.
    """
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise FragmentError("the SMILES cannot be read; check rings, brackets and valences")
    Chem.RemoveStereochemistry(mol)
    # "*" and "[*]" mean the same; people look for the latter
    text = re.sub(r"\*(?!\])", "[*]", Chem.MolToSmiles(mol))
    mol = Chem.MolFromSmiles(text)  # atoms in the order of the text that is kept
    n = mol.GetNumAtoms()
    places, labels, hydrogens = (np.zeros(n, np.int16) for _ in range(3))
    filled = Chem.RWMol(mol)
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() == 0:
            bonds = atom.GetBonds()
            if len(bonds) != 1 or bonds[0].GetBondType() != Chem.BondType.SINGLE:
                raise FragmentError("a place [*] must be held by one single bond")
            neighbour = bonds[0].GetOtherAtom(atom)
            if neighbour.GetAtomicNum() == 0:
                raise FragmentError("it has no atom beside its places; give it one")
            at, label = neighbour.GetIdx(), atom.GetIsotope()
            if places[at] and labels[at] != label:
                raise FragmentError("two places of one atom have different labels; give them one")
            places[at] += 1
            labels[at] = label
        else:
            hydrogens[atom.GetIdx()] = atom.GetTotalNumHs()
    if not places.any():
        raise FragmentError("it has no place for others; mark one by [*]")
    atoms = [i for i in range(n) if mol.GetAtomWithIdx(i).GetAtomicNum() > 0]
    for i in atoms:  # hydrogens at the places: aromatic as it will be in molecules
        atom = filled.GetAtomWithIdx(i)
        atom.SetNoImplicit(True)
        atom.SetNumExplicitHs(int(places[i] + hydrogens[i]))
    for i in reversed(range(n)):
        if i not in atoms:
            filled.RemoveAtom(i)
    if len(Chem.GetMolFrags(filled)) != 1:
        raise FragmentError("it is not connected; write one fragment a line")
    with rdBase.BlockLogs():
        try:
            Chem.SanitizeMol(filled)
        except ValueError:
            raise FragmentError("it makes no molecule with hydrogens at its places") from None
    kinds, bonds = _kinds_and_bonds(filled)
    return Fragment(text, kinds, places[atoms], labels[atoms], hydrogens[atoms], bonds)


def read_molecule(smiles: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Kinds (n, 8) and bonds (m, 3) of a molecule without its stereo; None if it cannot be used."""
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None or mol.GetNumAtoms() == 0 or len(Chem.GetMolFrags(mol)) != 1:
        return None
    Chem.RemoveStereochemistry(mol)
    try:
        return _kinds_and_bonds(mol)
    except FragmentError:
        return None


def element_numbers() -> dict[str, int]:
    """Atomic numbers of the elements by their symbols."""
    table = Chem.GetPeriodicTable()
    return {table.GetElementSymbol(number): number for number in range(1, 119)}


def atom_token(kind: np.ndarray, hydrogens: int) -> str:
    """How SMILES writes an atom of a kind that has so many hydrogens."""
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
    """Canonical SMILES of strings written from fragments; "" stays as it is.

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
