"""Cores, from which construction starts, and the substituents at their attachment points.

A core is one SMILES with attachment points ``[*]``. Their numbers, ``[*:1]`` or ``[1*]`` as written
by RDKit, are column names: a library has the substituents of each molecule as R1, R2, .... They are
never labels, to which rules of a fragment file refer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rdkit import Chem, rdBase

from gfncore.errors import UserError
from gfncore.program.messages import Note
from molgen.molecules.smiles import SmilesError, dummy_number, mol_from_smiles, plain_mol

__all__ = ["core_notes", "core_numbers", "r_groups"]

HYDROGEN = "[H]"
MOST_MATCHES = 1_000
CARRIED = "core_numbers"  # property of the atom of a group: the numbers of its attachment points
BONDS = {
    Chem.BondType.SINGLE: "-,:",
    Chem.BondType.DOUBLE: "=,:",
    Chem.BondType.TRIPLE: "#",
    Chem.BondType.AROMATIC: "-,=,:",
}  # a ring of the core may be aromatic only in the molecule


def core_notes(core: str, left_out: Sequence[str]) -> tuple[Note, ...]:
    """Return notes for the user about a core, at most one sentence."""
    if not left_out:
        return ()
    return (
        Note(
            "unused-marks-of-core",
            f"core {core}: its {' and '.join(left_out)} are not used; molecules are built without "
            "them",
        ),
    )


def core_numbers(core: str) -> tuple[int, ...]:
    """Return the numbers of a core's attachment points, ascending.

    Raises
    ------
    UserError
        The core cannot be read, or a number comes twice.

    Examples
    --------
    >>> core_numbers("[1*]c1ccc([2*])cc1")
    (1, 2)
    """
    try:
        mol, _ = plain_mol(core)
        numbers = sorted(
            number
            for atom in mol.GetAtoms()
            if atom.GetAtomicNum() == 0 and (number := dummy_number(atom))
        )
    except SmilesError as error:
        raise UserError(f"core '{core}' {error}") from None
    for one, other in pairwise(numbers):
        if one == other:
            raise UserError(
                f"core '{core}': number {one} is given to several attachment points; number "
                "each differently, or write [*]"
            )
    return tuple(numbers)


def r_groups(core: str, smiles: Sequence[str]) -> dict[str, list[str]]:
    """Return the substituents of each molecule at the numbered attachment points of a core.

    Parameters
    ----------
    core : str
    smiles : sequence of str
        Molecules that were built from the core.

    Returns
    -------
    dict of str to list of str
        For each number n of the core, ``"Rn"``: the substituents as SMILES with the attachment
        point as ``[*:n]``, ``[H][*:n]`` for hydrogen, and "" if the core is not found. A group
        attached to several points is given for each of them. If the core matches a molecule in
        several ways, the match whose groups come first in alphabetical order is used.

    Examples
    --------
    >>> r_groups("[1*]c1ccc([2*])cc1", ["Cc1ccc(O)cc1"])
    {'R1': ['C[*:1]'], 'R2': ['O[*:2]']}
    """
    numbers = core_numbers(core)
    if not numbers:
        return {}
    query, points = _query(plain_mol(core)[0])
    rows = [_groups_of(mol_from_smiles(text), query, points, numbers) for text in smiles]
    return {f"R{n}": [row[i] for row in rows] for i, n in enumerate(numbers)}


def _query(core: Chem.Mol) -> tuple[Chem.Mol, list[list[int]]]:
    """Return the core without attachment points, and their numbers (or 0) for each atom."""
    query, points, place = Chem.RWMol(), [], {}
    for atom in core.GetAtoms():
        if atom.GetAtomicNum() > 0:
            pattern = f"[#{atom.GetAtomicNum()}{atom.GetFormalCharge():+d}]"
            place[atom.GetIdx()] = query.AddAtom(Chem.AtomFromSmarts(pattern))
            held = [dummy_number(a) for a in atom.GetNeighbors() if a.GetAtomicNum() == 0]
            points.append(sorted(held, key=lambda number: (number == 0, number)))
    for bond in core.GetBonds():
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if all(end in place for end in ends):
            count = query.AddBond(place[ends[0]], place[ends[1]], Chem.BondType.SINGLE)
            query.ReplaceBond(count - 1, Chem.BondFromSmarts(BONDS[bond.GetBondType()]))
    return query.GetMol(), points


def _groups_of(
    mol: Chem.Mol, query: Chem.Mol, points: list[list[int]], numbers: tuple[int, ...]
) -> list[str]:
    with rdBase.BlockLogs():
        matches = mol.GetSubstructMatches(query, uniquify=False, maxMatches=MOST_MATCHES)
        options = {tuple(row) for m in matches if (row := _groups(mol, m, query, points, numbers))}
    if not options:
        return [""] * len(numbers)
    first = min(options, key=lambda row: [(group.startswith(HYDROGEN), group) for group in row])
    return list(first)


def _groups(
    mol: Chem.Mol,
    match: tuple[int, ...],
    query: Chem.Mol,
    points: list[list[int]],
    numbers: tuple[int, ...],
) -> list[str] | None:
    """Return the groups by number for one match of the core, or None if it is not valid."""
    inside = set(match)
    ends = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()]
    if sum(u in inside and v in inside for u, v in ends) != query.GetNumBonds():
        return None
    outside = {
        at: [a.GetIdx() for a in mol.GetAtomWithIdx(at).GetNeighbors() if a.GetIdx() not in inside]
        for at in match
    }
    held = dict(zip(match, points, strict=True))
    if any(len(outside[at]) > len(held[at]) for at in match):
        return None
    result = dict.fromkeys(numbers, "")
    ranks = list(Chem.CanonicalRankAtoms(mol))  # which of two groups of one atom comes first
    cut = Chem.RWMol(mol)
    Chem.Kekulize(cut, clearAromaticFlags=True)  # a ring that the core is part of is opened
    for at in match:
        free = list(held[at])
        for other in sorted(outside[at], key=lambda index: ranks[index]):
            bond = cut.GetBondBetweenAtoms(at, other)
            taken = [free.pop(0) for _ in range(min(len(free), int(bond.GetBondTypeAsDouble())))]
            dummy = Chem.Atom(0)
            dummy.SetAtomMapNum(taken[0] if taken else 0)
            dummy.SetProp(CARRIED, " ".join(map(str, taken)))
            cut.AddBond(other, cut.AddAtom(dummy), bond.GetBondType())
        result.update((n, f"{HYDROGEN}[*:{n}]") for n in free if n)
    for at in sorted(match, reverse=True):
        cut.RemoveAtom(at)
    for group in Chem.GetMolFrags(cut, asMols=True, sanitizeFrags=True):
        for atom in group.GetAtoms():
            for number in map(int, atom.GetProp(CARRIED).split() if atom.HasProp(CARRIED) else ()):
                atom.SetAtomMapNum(number)
                if number:
                    result[number] = Chem.MolToSmiles(group)
    return [result[n] for n in numbers]
