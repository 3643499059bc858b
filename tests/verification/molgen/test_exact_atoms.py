"""Molecules of C, N, O with the reward QED: known figures of the spaces, and trained samplers."""

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import QED

from gfncore.evaluation import total_variation
from molgen.environments.atoms import AtomEnvironment
from molgen.molecules.graph import AtomTable
from molgen.runs.exact import (
    Recipe,
    compare,
    enumerate_space,
    ideal_distribution,
    train_policy,
)
from molgen.symmetry import SYMMETRIES

pytestmark = pytest.mark.verification


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Score:
    """log QED, each molecule once."""

    def __init__(self):
        self.known = {}

    def __call__(self, smiles):
        for name in smiles:
            if name not in self.known:
                self.known[name] = np.log(QED.qed(Chem.MolFromSmiles(name)))
        return np.array([self.known[name] for name in smiles])


def space_of(largest):
    return enumerate_space(AtomEnvironment(AtomTable.of(["C", "N", "O"]), largest, Score()))


def test_up_to_five_atoms():
    space = space_of(5)
    assert len(space.molecules) == len(space.terminals) == 4_141
    assert space.log_partition == pytest.approx(7.2998, abs=1e-4)
    for regime in SYMMETRIES[:3]:
        ideal, log_z = ideal_distribution(space, regime)
        assert total_variation(ideal, space.target) < 1e-10
        assert log_z == pytest.approx(space.log_partition)
    ideal, log_z = ideal_distribution(space, "none")
    assert total_variation(ideal, space.target) == pytest.approx(0.145, abs=5e-4)
    assert log_z == pytest.approx(7.1032, abs=1e-4)


@pytest.mark.long
def test_up_to_six_atoms_where_kekule_forms_matter():
    space = space_of(6)
    assert len(space.molecules) == 35_484
    assert len(space.terminals) == 35_503
    count = np.bincount(space.molecule)
    assert (count > 1).sum() == 19
    found = space.environment.multiplicity(space.terminals)
    assert np.array_equal(found, count[space.molecule])
    assert total_variation(ideal_distribution(space, "merged")[0], space.target) < 1e-10


@pytest.mark.long
@pytest.mark.parametrize("regime", SYMMETRIES)
def test_a_trained_sampler_draws_what_theory_says(regime):
    space = space_of(4)
    trained = train_policy(
        space.environment, regime, space, Recipe(steps=400), seconds=1800.0, enough=0.008
    )
    found = compare(
        space, space.environment, regime, trained.policy, 100_000, np.random.default_rng(1)
    )
    print(f"{regime}: {trained.steps} steps, {trained.seconds:.0f} s, {found}")
    assert found.total_variation_from_ideal <= 0.02
    assert abs(found.log_partition - found.ideal_log_partition) <= 0.02
    assert found.chi2_p_value_policy > 1e-4
    if regime == "none":
        assert found.total_variation == pytest.approx(0.172, abs=0.02)
        assert found.chi2_p_value < 1e-10
    else:
        assert found.total_variation <= 0.02
        assert abs(found.log_partition - space.log_partition) <= 0.02
        assert found.chi2_p_value > 1e-4
