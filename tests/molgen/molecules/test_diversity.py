"""Measures of diversity, beside plain versions with RDKit's own similarity."""

from __future__ import annotations

import time

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from rdkit.DataStructs import CreateFromBitString

from molgen.molecules.diversity import (
    ScaffoldCap,
    find_modes,
    internal_diversity,
    morgan_fingerprints,
    murcko_scaffold,
)


def alkyl_anilides(n):
    """Molecules of which neighbours are similar."""
    return [Chem.MolFromSmiles("C" * (1 + i % 9) + f"C(=O)Nc1ccc({'C' * i}O)cc1") for i in range(n)]


@pytest.fixture(scope="module")
def molecules():
    extra = ["CCO", "c1ccccc1", "O", "CC(=O)Oc1ccccc1C(=O)O", "C1CC1", "[He]"]
    return [*alkyl_anilides(40), *(Chem.MolFromSmiles(text) for text in extra)]


@pytest.fixture(scope="module")
def similarity(molecules):
    generator = GetMorganGenerator(radius=2, fpSize=2048)
    bits = [generator.GetFingerprint(molecule) for molecule in molecules]
    return np.array([DataStructs.BulkTanimotoSimilarity(one, bits) for one in bits])


def plain_similarity(molecules):
    generator = GetMorganGenerator(radius=2, fpSize=2048)
    bits = np.array([generator.GetFingerprintAsNumPy(m) for m in molecules]).astype(np.int64)
    shared = bits @ bits.T
    either = bits.sum(axis=1)[:, None] + bits.sum(axis=1)[None, :] - shared
    return shared / either


def test_similarity_is_shared_bits_over_bits_of_either(molecules, similarity):
    np.testing.assert_array_equal(similarity, plain_similarity(molecules))


def test_internal_diversity(molecules, similarity):
    n = len(molecules)
    expected = 1 - (similarity.sum() - n) / (n * (n - 1))
    assert internal_diversity(morgan_fingerprints(molecules)) == pytest.approx(expected, abs=1e-6)


def test_internal_diversity_of_few_and_of_many(molecules):
    bits = morgan_fingerprints(molecules)
    assert np.isnan(internal_diversity(bits[:1]))
    assert internal_diversity([bits[0], bits[0]]) == 0.0
    whole = internal_diversity(bits)
    assert internal_diversity(bits, most_compared=23) == pytest.approx(whole, abs=0.1)


def plain_modes(similarity, score, least, limit):
    """Greedy, one molecule at a time."""
    leaders, members = [], {}
    for row in sorted(range(len(score)), key=lambda i: -score[i]):
        if not score[row] >= least:
            continue
        near = [similarity[row, leader] for leader in leaders]
        if near and max(near) >= limit:
            members[leaders[int(np.argmax(near))]] += 1
        else:
            leaders.append(row)
            members[row] = 1
    return leaders, [members[leader] for leader in leaders]


@pytest.mark.parametrize("limit", [0.3, 0.7])
def test_modes_are_those_of_the_plain_way(molecules, similarity, limit):
    score = np.random.default_rng(2).random(len(molecules)).round(1)
    score[3] = np.nan
    leaders, members = plain_modes(similarity, score, 0.4, limit)
    found = find_modes(morgan_fingerprints(molecules), score, least_score=0.4, similarity=limit)
    assert found.leaders.tolist() == leaders
    assert found.members.tolist() == members
    assert len(found) == len(leaders) > 1


def test_no_molecule_is_good_enough(molecules):
    found = find_modes(morgan_fingerprints(molecules), np.zeros(len(molecules)))
    assert len(found) == 0


def test_scaffolds():
    for smiles, scaffold in [
        ("CCO", ""),
        ("CC(=O)Oc1ccccc1C(=O)O", "c1ccccc1"),
        ("O=C(Cc1ccncc1)N1CCC(C)CC1", "O=C(Cc1ccncc1)N1CCCCC1"),
    ]:
        assert murcko_scaffold(Chem.MolFromSmiles(smiles)) == Chem.CanonSmiles(scaffold)


def test_a_thousand_molecules_take_little_time():
    rows = np.random.default_rng(1).random((1000, 2048)) < 0.02
    bits = [CreateFromBitString("".join("01"[bit] for bit in row)) for row in rows.astype(int)]
    start = time.perf_counter()
    internal_diversity(bits)
    assert len(find_modes(bits, np.ones(1000))) == 1000
    assert time.perf_counter() - start < 5.0  # a quarter of a second on a free machine


def test_the_first_of_a_scaffold_are_let_in():
    cap = ScaffoldCap(2)
    given = ["Cc1ccccc1", "CCO", "CCc1ccccc1", "Cc1ccccc1", "Oc1ccccc1", "CC", "C1CC1", "C"]
    for smiles in given:
        cap.offer(smiles)
    assert list(cap.admitted) == ["Cc1ccccc1", "CCO", "CCc1ccccc1", "CC", "C1CC1", "C"]
    assert cap.refused == {"Oc1ccccc1"}


def test_without_a_number_all_of_a_scaffold_are_let_in():
    cap = ScaffoldCap()
    given = [f"{'C' * n}c1ccccc1" for n in range(1, 9)]
    for smiles in [*given, *given]:
        cap.offer(smiles)
    assert list(cap.admitted) == given
    assert not cap.refused


def test_a_molecule_without_bits_is_no_mode(molecules):
    bits = morgan_fingerprints([Chem.Mol(), molecules[0], Chem.Mol()])
    found = find_modes(bits, np.ones(3))
    assert found.leaders.tolist() == [1]
    assert found.members.tolist() == [1]
