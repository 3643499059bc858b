"""Symmetry of molecules, against igraph (BLISS) and pynauty, which know colours of nodes alone.

Both get every bond as a node of its own, coloured by its order.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import igraph
import numpy as np
import pynauty
import pytest
from rdkit import Chem, RDConfig

from gfncore.symmetry.graphs import ColouredGraphs, analyse, canonical_graphs, pair_orbits

CONTRIBUTED = Path(RDConfig.RDContribDir)
FILES = ("SA_Score/data/zim.100.txt", "FreeWilson/data/CHEMBL2321810.smi")
FULLERENE = (
    "c12c3c4c5c1c1c6c7c2c2c8c3c3c9c4c4c%10c5c5c1c1c6c6c%11c7c2c2c7c8c3c3c8c9c4c4c9c%10c5c5c1c1c6c6"
    "c%11c2c2c7c3c3c8c4c4c9c5c1c1c6c2c3c41"
)


def graph_of(molecule, hydrogens=True):
    """Colours of atoms (element, charge and, if wanted, hydrogens) and bonds (twice the order)."""
    colours = [
        1000 * (atom.GetFormalCharge() + 4)
        + 10 * atom.GetAtomicNum()
        + (atom.GetTotalNumHs() if hydrogens else 0)
        for atom in molecule.GetAtoms()
    ]
    bonds = [
        (b.GetBeginAtomIdx(), b.GetEndAtomIdx(), int(2 * b.GetBondTypeAsDouble()))
        for b in molecule.GetBonds()
    ]
    return colours, bonds


def batch(graphs):
    n_room = max(len(colours) for colours, _ in graphs)
    m_room = max(len(bonds) for _, bonds in graphs)
    colours = np.full((len(graphs), n_room), -1, np.int32)
    table = np.full((len(graphs), m_room, 3), -1, np.int32)
    for b, (row, bonds) in enumerate(graphs):
        colours[b, : len(row)] = row
        table[b, : len(bonds)] = np.reshape(bonds, (-1, 3))
    sizes = np.array([(len(row), len(bonds)) for row, bonds in graphs], np.int32)
    return ColouredGraphs(colours, sizes[:, 0].copy(), table, sizes[:, 1].copy())


def subdivided(graph):
    """Edges and node colours of the graph that has a node for each bond."""
    colours, bonds = graph
    n = len(colours)
    edges = [(end, n + e) for e, bond in enumerate(bonds) for end in bond[:2]]
    return edges, [*colours, *(-1 - order for _, _, order in bonds)]


def smallest_in_orbit(n_things, images):
    """Orbits of numbered things under permutations, named by their smallest members."""
    names = np.arange(n_things)
    changed = True
    while changed:
        before = names.copy()
        for image in images:
            smaller = np.minimum(names, names[image])
            np.minimum.at(smaller, image, names)
            names = smaller
        changed = (names != before).any()
    return names


def renumbered(molecule, rng):
    return Chem.RenumberAtoms(molecule, rng.permutation(molecule.GetNumAtoms()).tolist())


@pytest.fixture(scope="module")
def molecules():
    lines = [
        line
        for name in FILES
        for line in (CONTRIBUTED / name).read_text().splitlines()
        if not line.startswith("smiles")
    ]
    made = [Chem.MolFromSmiles(line.split()[0]) for line in lines]
    small = [m for m in made if m is not None and m.GetNumAtoms() <= 60]
    assert len(small) > 1000
    return small[:100] + small[100::2]


@pytest.fixture(scope="module")
def graphs(molecules):
    return [graph_of(molecule) for molecule in molecules]


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("c1ccccc1-c1ccccc1", 8),
        ("C[Si](C(C)(C)C)(C(C)(C)C)C(C)(C)C", 1296),
        ("c1cnc[nH]1", 1),
        ("c1ccccc1", 12),
        ("C1CC1.C1CC1.C1CCCCC1", 864),
        ("CC(C)(C)C", 24),
        ("C12C3C4C1C5C4C3C25", 48),
        ("C1C2CC3CC1CC(C2)C3", 24),
        ("FS(F)(F)(F)(F)F", 720),
        ("NC(=[NH2+])c1ccccc1", 2),
        (FULLERENE, 120),
    ],
)
def test_automorphisms_of_known_molecules(smiles, expected):
    molecule = Chem.MolFromSmiles(smiles)
    assert analyse(batch([graph_of(molecule)])).automorphisms() == [expected]


def test_automorphisms_are_those_of_the_representation():
    benzene, imidazole = map(Chem.MolFromSmiles, ("c1ccccc1", "c1cnc[nH]1"))
    assert analyse(batch([graph_of(imidazole, hydrogens=False)])).automorphisms() == [2]
    Chem.Kekulize(benzene, clearAromaticFlags=True)
    assert analyse(batch([graph_of(benzene)])).automorphisms() == [6]


def test_orbits_where_ranks_by_neighbourhood_are_not_orbits():
    molecule = Chem.MolFromSmiles("C1CC1.C1CC1.C1CCCCC1")
    assert len(set(Chem.CanonicalRankAtoms(molecule, breakTies=False))) == 1
    graphs = batch([graph_of(molecule)])
    symmetry = analyse(graphs)
    np.testing.assert_array_equal(symmetry.node_orbits[0], [0] * 6 + [6] * 6)
    assert len(set(symmetry.edge_orbits[0])) == 2
    # one ring or two (cyclopropanes); ring to ring; ortho, meta and para (cyclohexane)
    assert len(np.unique(pair_orbits(graphs))) == 1 + 2 + 1 + 3


def test_kekule_forms_have_keys_of_their_own():
    forms = ["CC1=C(C)C=CC=C1", "CC1=CC=CC=C1C", "CC1=C(C)C=CC=C1"]
    without = [Chem.MolFromSmiles(smiles, sanitize=False) for smiles in forms]
    for molecule in without:
        molecule.UpdatePropertyCache()
    keys = analyse(batch([graph_of(molecule) for molecule in without])).keys
    np.testing.assert_array_equal(keys[0], keys[2])
    assert (keys[0] != keys[1]).any()
    aromatic = analyse(batch([graph_of(Chem.MolFromSmiles(smiles)) for smiles in forms])).keys
    assert len(np.unique(aromatic, axis=0)) == 1


def test_orbits_and_numbers_of_automorphisms_against_igraph(graphs):
    coloured = batch(graphs)
    symmetry, pairs = analyse(coloured), pair_orbits(coloured)
    width = coloured.colours.shape[1]
    for b, graph in enumerate(graphs):
        n, m = len(graph[0]), len(graph[1])
        edges, colours = subdivided(graph)
        other = igraph.Graph(n=n + m, edges=edges)
        ranks = np.unique(colours, return_inverse=True)[1].tolist()
        assert symmetry.automorphisms()[b] == other.count_automorphisms(color=ranks)
        images = [np.array(g) for g in other.automorphism_group(color=ranks)]
        orbits = smallest_in_orbit(n + m, images)
        np.testing.assert_array_equal(symmetry.node_orbits[b, :n], orbits[:n])
        np.testing.assert_array_equal(symmetry.edge_orbits[b, :m], orbits[n:] - n)
        if b % 10 == 0:
            number = np.full((n, n), -1)
            upper = list(itertools.combinations(range(n), 2))
            for i, (u, v) in enumerate(upper):
                number[u, v] = number[v, u] = i
            rows, columns = np.array(upper).T
            of_pairs = smallest_in_orbit(
                len(upper), [number[image[rows], image[columns]] for image in images]
            )
            names = rows[of_pairs] * width + columns[of_pairs]
            np.testing.assert_array_equal(pairs[b, rows, columns], names)
            np.testing.assert_array_equal(pairs[b, columns, rows], names)


def test_keys_and_numbers_of_automorphisms_against_pynauty(graphs):
    symmetry = analyse(batch(graphs))
    certificates = []
    for b, graph in enumerate(graphs):
        n, m = len(graph[0]), len(graph[1])
        edges, colours = subdivided(graph)
        classes = {c: {v for v in range(n + m) if colours[v] == c} for c in sorted(set(colours))}
        neighbours = {v: [] for v in range(n + m)}
        for u, v in edges:
            neighbours[u].append(v)
        other = pynauty.Graph(
            n + m, adjacency_dict=neighbours, vertex_coloring=list(classes.values())
        )
        _, size, exponent, orbits, _ = pynauty.autgrp(other)
        assert symmetry.automorphisms()[b] == round(size * 10**exponent)
        np.testing.assert_array_equal(symmetry.node_orbits[b, :n], orbits[:n])
        sizes = tuple((c, len(members)) for c, members in classes.items())
        certificates.append((sizes, pynauty.certificate(other)))
    keys = [tuple(key) for key in symmetry.keys.tolist()]
    assert (
        len(set(keys)) == len(set(certificates)) == len(set(zip(keys, certificates, strict=True)))
    )


def test_keys_and_forms_do_not_depend_on_the_numbering(molecules, graphs):
    rng = np.random.default_rng(1)
    copies = batch([graph_of(renumbered(molecule, rng)) for molecule in molecules])
    originals = batch(graphs)
    before, after = analyse(originals), analyse(copies)
    np.testing.assert_array_equal(before.keys, after.keys)
    forms = canonical_graphs(originals, before), canonical_graphs(copies, after)
    np.testing.assert_array_equal(forms[0].colours, forms[1].colours)
    np.testing.assert_array_equal(forms[0].edges, forms[1].edges)
    smiles = [Chem.MolToSmiles(m, isomericSmiles=False) for m in molecules]
    assert len(np.unique(before.keys, axis=0)) == len(set(smiles))
