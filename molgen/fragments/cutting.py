"""A fragment vocabulary from the user's molecules: cut them, count the pieces, keep frequent ones.

Cuts are single bonds outside rings: those defined by BRICS (Degen, Wegscheid-Gerber, Zaliani and
Rarey 2008), or all bonds between a ring and its substituents. Pieces with the same skeleton are one
fragment, with attachment points wherever one was cut and at equivalent atoms. Only kinds of atoms
that were cut apart may be joined, so few molecules have several decompositions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem import BRICS

from gfncore.errors import UserError, one_line
from gfncore.symmetry import graphs as symmetry
from molgen.fragments.reading import FragmentError, read_fragment, read_molecule
from molgen.fragments.vocabulary import LARGEST
from molgen.molecules.smiles import SmilesError, plain_mol
from molgen.molecules.smiles_file import read_entries

__all__ = ["METHODS", "Fragmentation", "fragment_file", "fragment_molecules"]

METHODS = ("brics", "rings")


@dataclass(frozen=True)
class Fragmentation:
    """Result of `fragment_file`.

    Attributes
    ----------
    text : str
        Fragments in order of frequency, with their counts as names, in the format of
        `molgen.fragments.vocabulary.Vocabulary`.
    problems : list of (int, str)
        Skipped lines, counted from 1, with the reason.
    n_molecules : int
        Number of molecules that gave a fragment.
    n_fragments : int
        Number of fragments in the text.
    uncut : list of (int, str, str)
        Molecules without a cut: line, name (or SMILES), and reason.
    notes : tuple of str
        Properties that were ignored, such as stereochemistry.
    """

    text: str
    problems: list[tuple[int, str]]
    n_molecules: int
    n_fragments: int
    uncut: list[tuple[int, str, str]] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def fragment_file(
    path: str | Path, method: str = "brics", max_fragments: int = 200, min_count: int = 1
) -> Fragmentation:
    """Cut the molecules of a file and return their fragments.

    Parameters
    ----------
    path : path
        File of molecules, see `molgen.molecules.smiles_file.read_entries`.
    method : {"brics", "rings"}
    max_fragments : int
        Maximum number of fragments; the most frequent are kept.
    min_count : int
        Minimum number of occurrences of a fragment.

    Raises
    ------
    UserError
        The file cannot be read or yields no fragment.
    """
    broken: list[tuple[int, str]] = []
    entries = list(read_entries(path, broken))
    numbers = [number for number, _, _ in entries]
    smiles = [text for _, text, _ in entries]
    names = [name for _, _, name in entries]
    result = fragment_molecules(smiles, method, max_fragments, min_count, names, numbers)
    if not result.n_fragments:
        n_read = result.n_molecules + len(result.uncut)
        raise UserError(
            f"{path}: no fragment was found in {n_read} molecules that could be read; "
            f"give larger molecules, a smaller count than {min_count}, or another method"
        )
    return replace(result, problems=sorted([*broken, *result.problems]))


def fragment_molecules(
    smiles: Sequence[str],
    method: str = "brics",
    max_fragments: int = 200,
    min_count: int = 1,
    names: Sequence[str] = (),
    lines: Sequence[int] = (),
) -> Fragmentation:
    """Cut a list of molecules as `fragment_file` does.

    `names` of the molecules, and their `lines` in a file (default: rows from 0), are for messages.
    """
    if method not in METHODS:
        raise UserError(f"method is '{method}'; choose among {', '.join(METHODS)}")
    if max_fragments < 1 or min_count < 1:
        raise UserError(
            f"max_fragments is {max_fragments} and min_count {min_count}; both must be 1 or more"
        )
    problems: list[tuple[int, str]] = []
    numbers = lines or range(len(smiles))
    pairs: Counter[tuple[str, str]] = Counter()
    pieces: dict[int, list[str]] = {}  # of each row that is a molecule
    left_out: Counter[str] = Counter()
    for row, text in enumerate(smiles):
        try:
            mol, what = _molecule(text)
        except SmilesError as problem:
            problems.append((numbers[row], f"'{text}' {problem}"))
            continue
        left_out.update(what)
        pieces[row] = list(_pieces(mol, method, pairs))
    kept, usable = _merged(Counter(piece for own in pieces.values() for piece in own))
    uncut = [
        (
            numbers[row],
            (names[row] if names else "") or smiles[row],
            f"method {method} cuts none of its bonds"
            if not own
            else f"none of its pieces has {LARGEST} atoms or fewer",
        )
        for row, own in pieces.items()
        if not usable.intersection(own)
    ]
    ranked = sorted(kept, key=lambda s: (-kept[s], s))
    ranked = [s for s in ranked if kept[s] >= min_count][:max_fragments]
    n_molecules = len(pieces) - len(uncut)
    text = [
        f"# {len(ranked)} fragments of {n_molecules} molecules, cut by method '{method}'",
        *[one_line(f"# no fragment of {name}: {reason}") for _, name, reason in uncut],
        "# [*] is a place where another fragment may be joined; the number counts occurrences",
        *_rules(pairs),
        *[f"{s} {kept[s]}" for s in ranked],
    ]
    notes = tuple(
        f"{what} of {n:,} molecule{'s' if n > 1 else ''} are not used: fragments have none"
        for what, n in left_out.items()
    )
    return Fragmentation("\n".join(text) + "\n", problems, n_molecules, len(ranked), uncut, notes)


def _molecule(smiles: str) -> tuple[Chem.Mol, tuple[str, ...]]:
    """Return a molecule and its ignored properties; raise SmilesError if it is unusable."""
    mol, left_out = plain_mol(smiles)
    if any(atom.GetAtomicNum() == 0 for atom in mol.GetAtoms()):
        raise SmilesError("has an atom that is not an element (*)")
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        raise SmilesError("has an unpaired electron")
    return mol, left_out


def _cuts(mol: Chem.Mol, method: str) -> list[int]:
    """Return the bonds to cut: single bonds outside rings."""
    if method == "brics":
        pairs = [atoms for atoms, _ in BRICS.FindBRICSBonds(mol)]
        bonds = [mol.GetBondBetweenAtoms(u, v) for u, v in pairs]
    else:
        bonds = [
            bond
            for bond in mol.GetBonds()
            if bond.GetBeginAtom().IsInRing() or bond.GetEndAtom().IsInRing()
        ]
    single = Chem.BondType.SINGLE
    return [b.GetIdx() for b in bonds if b.GetBondType() == single and not b.IsInRing()]


def _pieces(mol: Chem.Mol, method: str, pairs: Counter[tuple[str, str]]) -> Iterator[str]:
    """Return pieces as canonical SMILES with places; count kinds of atoms that were cut apart."""
    bonds = _cuts(mol, method)
    if not bonds:
        return
    for index in bonds:
        bond = mol.GetBondWithIdx(index)
        ends = sorted((_side(bond.GetBeginAtom()), _side(bond.GetEndAtom())))
        pairs[ends[0], ends[1]] += 1
    broken = Chem.FragmentOnBonds(mol, bonds, dummyLabels=[(0, 0)] * len(bonds))
    for piece in Chem.MolToSmiles(broken).split("."):
        if "*" in piece:  # others are components that had no cut
            yield piece


def _side(atom: Chem.Atom) -> str:
    """Return an atom in the notation of rules."""
    where = "aromatic" if atom.GetIsAromatic() else "aliphatic+ring" if atom.IsInRing() else "chain"
    return f"{where}+{atom.GetSymbol()}"


def _merged(count: Counter[str]) -> tuple[dict[str, int], set[str]]:
    """Return fragments, one per skeleton, with their counts; and the pieces used."""
    usable: set[str] = set()
    places: dict[str, np.ndarray] = {}
    totals: Counter[str] = Counter()
    for piece, number in count.items():
        try:
            size = len(read_fragment(piece))
        except FragmentError:
            continue
        if size > LARGEST:
            continue
        usable.add(piece)
        skeleton, at = _skeleton(piece)
        totals[skeleton] += number
        places[skeleton] = np.maximum(places.get(skeleton, 0), at)
    kept = {_with_places(skeleton, at): totals[skeleton] for skeleton, at in places.items()}
    return kept, usable


def _skeleton(piece: str) -> tuple[str, np.ndarray]:
    """Return the canonical SMILES with hydrogens for places, and places at each of its atoms."""
    mol = Chem.RWMol(Chem.MolFromSmiles(piece))
    for atom in list(mol.GetAtoms()):
        if atom.GetAtomicNum() > 0:
            held = sum(other.GetAtomicNum() == 0 for other in atom.GetNeighbors())
            hydrogens = atom.GetTotalNumHs()
            atom.SetIntProp("places", held)
            atom.SetNoImplicit(True)
            atom.SetNumExplicitHs(hydrogens + held)
    for index in reversed(range(mol.GetNumAtoms())):
        if mol.GetAtomWithIdx(index).GetAtomicNum() == 0:
            mol.RemoveAtom(index)
    Chem.SanitizeMol(mol)
    text = Chem.MolToSmiles(mol)
    order = list(mol.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
    return text, np.array([mol.GetAtomWithIdx(i).GetIntProp("places") for i in order])


def _with_places(skeleton: str, places: np.ndarray) -> str:
    """Return the skeleton with places, equally many at equivalent atoms."""
    read = read_molecule(skeleton)
    assert read is not None
    kinds, bonds = read
    n = len(kinds)
    colours = np.unique(kinds, axis=0, return_inverse=True)[1].reshape(1, n)
    edges = bonds.reshape(1, -1, 3) if len(bonds) else np.full((1, 1, 3), -1)
    found = symmetry.analyse(
        symmetry.ColouredGraphs(
            colours.astype(np.int32),
            np.array([n], np.int32),
            edges.astype(np.int32),
            np.array([len(bonds)], np.int32),
        )
    )
    orbit = found.node_orbits[0]
    most = np.zeros(n, np.int64)
    np.maximum.at(most, orbit, places)
    mol = Chem.RWMol(Chem.MolFromSmiles(skeleton))
    for u in range(n):
        for _ in range(most[orbit[u]]):
            place = mol.AddAtom(Chem.Atom(0))
            mol.AddBond(u, place, Chem.BondType.SINGLE)
            atom = mol.GetAtomWithIdx(u)
            atom.SetNumExplicitHs(max(0, atom.GetNumExplicitHs() - 1))
    Chem.SanitizeMol(mol)
    return read_fragment(Chem.MolToSmiles(mol)).smiles


def _rules(pairs: Counter[tuple[str, str]]) -> list[str]:
    """Return rules that allow only joins that were cut, so no new chains are built."""
    return ["#rule forbid * *", *[f"#rule allow {a} {b}" for a, b in sorted(pairs)]]
