"""The one door between arrays and RDKit: molecules from graphs, graphs from SMILES.

Text is read by `molgen.molecules.smiles`.

A graph is written with explicit single, double and triple bonds (a Kekulé form); RDKit perceives
aromaticity, and its canonical SMILES names the molecule. Several forms may be one molecule.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from rdkit import Chem, rdBase

from gfncore.errors import UserError
from molgen.kernels.graph_numba import perfect_matchings
from molgen.molecules.graph import AtomTable
from molgen.molecules.smiles import SmilesError, dummy_number, mol_from_smiles, plain_mol

__all__ = [
    "Graph",
    "core_of_smiles",
    "graph_of_smiles",
    "kekule_forms",
    "mol_of",
    "mol_of_graph",
    "molecule_of_smiles",
    "smiles_of_mol",
]

ORDERS = {
    1: Chem.BondType.SINGLE,
    2: Chem.BondType.DOUBLE,
    3: Chem.BondType.TRIPLE,
    4: Chem.BondType.AROMATIC,
}
AROMATIC = 4  # as a bond order of `mol_of`
MOST_FORMS = 100_000

Graph = tuple[np.ndarray, np.ndarray]  # kinds (n,) and bonds (m, 3) as rows u < v, order; int16


@lru_cache(maxsize=4096)
def _template(atomic_number: int, charge: int, hydrogens: int, aromatic: bool) -> Chem.Atom:
    atom = Chem.Atom(atomic_number)
    atom.SetFormalCharge(charge)
    atom.SetNumExplicitHs(hydrogens)
    atom.SetNoImplicit(True)
    atom.SetIsAromatic(aromatic)
    return atom


def mol_of(
    atomic_numbers: Sequence[int],
    charges: Sequence[int],
    hydrogens: Sequence[int],
    bonds: Sequence[Sequence[int]],
) -> Chem.Mol:
    """Return a sanitised molecule with atoms and bonds numbered as given.

    Parameters
    ----------
    atomic_numbers, charges, hydrogens : sequence of int, length n
        Of each heavy atom; `hydrogens` are all that it has.
    bonds : sequence of (u, v, order)
        Order 1 to 3, or 4 for an aromatic bond.

    Raises
    ------
    ValueError
        If RDKit does not take it for a molecule (its exceptions are ValueErrors).
    """
    aromatic = [False] * len(atomic_numbers)
    for u, v, order in bonds:
        if order == AROMATIC:
            aromatic[u] = aromatic[v] = True
    mol = Chem.RWMol()
    for key in zip(atomic_numbers, charges, hydrogens, aromatic, strict=True):
        mol.AddAtom(_template(*key))
    for u, v, order in bonds:
        mol.AddBond(u, v, ORDERS[order])
    if any(aromatic):
        for bond in mol.GetBonds():
            bond.SetIsAromatic(bond.GetBondType() == Chem.BondType.AROMATIC)
    Chem.SanitizeMol(mol)
    return mol


def smiles_of_mol(mol: Chem.Mol) -> str:
    """Return the canonical SMILES without stereochemistry."""
    return Chem.MolToSmiles(mol, isomericSmiles=False)


def molecule_of_smiles(smiles: str) -> Chem.Mol | None:
    """Return the sanitised molecule, or None where the text is none; RDKit prints nothing."""
    try:
        return mol_from_smiles(smiles)
    except SmilesError:
        return None


def mol_of_graph(kinds: np.ndarray, bonds: np.ndarray, table: AtomTable) -> Chem.Mol:
    """Return a sanitised molecule of kinds (n,) and bonds (m, 3), saturated with hydrogen.

    Raises
    ------
    ValueError
        If bonds exceed a valence, or RDKit does not take it for a molecule.
    """
    used = np.bincount(bonds[:, :2].ravel(), bonds[:, 2].repeat(2), minlength=len(kinds))
    return mol_of(
        table.atomic_numbers[kinds].tolist(),
        table.charges[kinds].tolist(),
        (table.valences[kinds] - used.astype(np.int64)).tolist(),
        bonds.tolist(),
    )


def _kinds(mol: Chem.Mol, table: AtomTable, hydrogens: np.ndarray) -> np.ndarray:
    """Return the kind of each atom by element, charge and valence; ValueError if none."""
    known = {
        key: kind
        for kind, key in enumerate(
            zip(
                table.atomic_numbers.tolist(),
                table.charges.tolist(),
                table.valences.tolist(),
                strict=True,
            )
        )
    }
    kinds = np.zeros(mol.GetNumAtoms(), np.int16)
    for atom in mol.GetAtoms():
        place = atom.GetIdx()
        valence = int(hydrogens[place])
        for bond in atom.GetBonds():
            valence += int(bond.GetBondTypeAsDouble())
        key = (atom.GetAtomicNum(), atom.GetFormalCharge(), valence)
        if key not in known or atom.GetNumRadicalElectrons():
            charge = f", charge {key[1]:+d}" if key[1] else ""
            raise ValueError(f"has {atom.GetSymbol()} of valence {valence}{charge}")
        kinds[place] = known[key]
    return kinds


def _bonds(mol: Chem.Mol) -> np.ndarray:
    """Return bonds (m, 3), int16, of a molecule in a Kekulé form."""
    bonds = np.zeros((mol.GetNumBonds(), 3), np.int16)
    for row, bond in enumerate(mol.GetBonds()):
        order = bond.GetBondTypeAsDouble()
        if order not in (1.0, 2.0, 3.0) or bond.GetBondType() not in ORDERS.values():
            raise ValueError(f"has a bond of type {bond.GetBondType()}")
        u, v = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        bonds[row] = u, v, int(order)
    return bonds


def _read(smiles: str) -> tuple[Chem.Mol, tuple[str, ...]]:
    """Return a Kekulé form of the molecule and its ignored properties."""
    mol, left_out = plain_mol(smiles)
    parts = len(Chem.GetMolFrags(mol))
    if parts > 1:
        raise ValueError(f"has {parts} parts: it is several molecules")
    with rdBase.BlockLogs():
        Chem.Kekulize(mol, clearAromaticFlags=True)
    return mol, left_out


def graph_of_smiles(smiles: str, table: AtomTable) -> Graph:
    """Return a Kekulé form of the molecule as a graph, without stereochemistry and isotopes.

    Raises
    ------
    ValueError
        The text is not a SMILES of one connected molecule with kinds of the table; the message
        gives the reason, e.g. "has F of valence 1".
    """
    mol, _ = _read(smiles)
    bonds = _bonds(mol)
    if len(bonds) and bonds[:, 2].max() > table.max_bond_order:
        raise ValueError(f"has a bond of order {bonds[:, 2].max()}")
    hydrogens = np.array([atom.GetTotalNumHs() for atom in mol.GetAtoms()], np.int64)
    return _kinds(mol, table, hydrogens), bonds


def core_of_smiles(smiles: str, table: AtomTable) -> tuple[Graph, np.ndarray, tuple[str, ...]]:
    """Read a core and return it with the possible growth of bond orders at each atom.

    Parameters
    ----------
    smiles : str
        Each ``[*]`` (or ``[*:1]``) on a single bond is an attachment point for one bond. Without
        any, every hydrogen of the core is one.
    table : AtomTable

    Returns
    -------
    graph : Graph
    growth : ndarray, shape (n,), int64
    left_out : tuple of str
        Properties of the text that are ignored, such as "stereo marks".

    Raises
    ------
    UserError
        The text is not a core with kinds of the table.
    """
    try:
        mol, left_out = _read(smiles)
        stars = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() == 0]
        kept = np.setdiff1d(np.arange(mol.GetNumAtoms()), stars)
        sites = np.zeros(mol.GetNumAtoms(), np.int64)
        if len(kept) == 0:
            raise ValueError("has no atoms other than [*]")
        for star in stars:
            atom = mol.GetAtomWithIdx(star)
            dummy_number(atom)  # refuses charges and hydrogens
            held = [bond.GetBondTypeAsDouble() for bond in atom.GetBonds()]
            if held != [1.0]:
                raise ValueError("has a [*] that does not have exactly one single bond")
            sites[atom.GetNeighbors()[0].GetIdx()] += 1
        hydrogens = np.array([atom.GetTotalNumHs() for atom in mol.GetAtoms()], np.int64)
        part = Chem.RWMol(mol)
        for star in reversed(stars):
            part.RemoveAtom(star)
        free = (hydrogens + sites)[kept]
        graph = _kinds(part, table, free), _bonds(part)
    except ValueError as error:
        raise UserError(
            f"core: {smiles!r} {error}; give one molecule of {' '.join(table.symbols)}, "
            "with [*] where it may grow"
        ) from None
    return graph, sites[kept] if stars else free, left_out


def kekule_forms(mol: Chem.Mol, bonds: np.ndarray) -> np.ndarray:
    """Return bond orders of all forms that differ in the double bonds of aromatic systems.

    Hydrogens and all bonds outside aromatic systems are fixed, and hence the sum of the orders of
    the aromatic bonds of each atom: the forms are the perfect matchings of the atoms with an
    aromatic double bond. RDKit does not necessarily consider all of them the same molecule.

    Parameters
    ----------
    mol : Mol
        Sanitised, with bonds numbered as in `bonds`.
    bonds : ndarray, shape (m, 3), int16
        One form.

    Returns
    -------
    ndarray, shape (k, m), int16
        The given form is the first.
    """
    # by number: RDKit's sequence of bonds is slow to go through
    rows = np.array([i for i in range(len(bonds)) if mol.GetBondWithIdx(i).GetIsAromatic()], int)
    if len(rows) == 0:
        return bonds[None, :, 2].astype(np.int16)
    extra = (bonds[rows, 2] - 1).repeat(2)
    doubles = np.bincount(bonds[rows, :2].ravel(), extra, minlength=mol.GetNumAtoms()).astype(int)
    if doubles.max() > 1:
        return bonds[None, :, 2].astype(np.int16)
    joint = rows[(doubles[bonds[rows, 0]] == 1) & (doubles[bonds[rows, 1]] == 1)]
    found = perfect_matchings(doubles, bonds[joint, :2].astype(np.int64), MOST_FORMS)
    forms = np.repeat(bonds[None, :, 2], len(found), axis=0)
    forms[:, rows] = 1
    forms[:, joint] += found.astype(np.int16)
    given = int((forms == bonds[:, 2]).all(axis=1).argmax())
    forms[[0, given]] = forms[[given, 0]]
    return forms
