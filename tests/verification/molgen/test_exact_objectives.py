"""Every objective and backward policy, on the 571 molecules of up to four atoms of C, N and O."""

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import QED

from gfncore.backward.registry import BACKWARD_POLICIES
from molgen.environments.atoms import AtomEnvironment
from molgen.molecules.graph import AtomTable
from molgen.runs.exact import Recipe, compare, enumerate_space, train_policy

pytestmark = [pytest.mark.verification, pytest.mark.long]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def space():
    known = {}

    def score(smiles):
        for name in smiles:
            if name not in known:
                known[name] = np.log(QED.qed(Chem.MolFromSmiles(name)))
        return np.array([known[name] for name in smiles])

    return enumerate_space(AtomEnvironment(AtomTable.of(["C", "N", "O"]), 4, score))


@pytest.mark.parametrize(
    "name",
    [
        "trajectory_balance",
        "log_variance",
        "detailed_balance",
        "sub_trajectory_balance",
        "modified_detailed_balance",
    ],
)
def test_molecules_are_drawn_in_proportion_to_the_reward(space, name):
    trained = train_policy(
        space.environment,
        "merged",
        space,
        Recipe(objective=name),
        seconds=1800.0,
        enough=0.008,
    )
    found = compare(
        space, space.environment, "merged", trained.policy, 20_000, np.random.default_rng(1)
    )
    print(
        f"{name}: {trained.steps} steps, {trained.trajectories} trajectories, "
        f"{trained.seconds:.0f} s, total variation {found.total_variation:.4f}, "
        f"log Z {found.log_partition - space.log_partition:+.4f}"
    )
    assert found.total_variation <= 0.02
    assert abs(found.log_partition - space.log_partition) <= 0.02


@pytest.mark.parametrize("name", [name for name in BACKWARD_POLICIES if name != "uniform"])
def test_molecules_are_drawn_in_proportion_by_every_backward_policy(space, name):
    trained = train_policy(
        space.environment,
        "merged",
        space,
        Recipe(backward=name),
        seconds=1800.0,
        enough=0.008,
    )
    found = compare(
        space,
        space.environment,
        "merged",
        trained.policy,
        20_000,
        np.random.default_rng(1),
        trained.backward_policy,
    )
    print(
        f"{name}: {trained.steps} steps, {trained.trajectories} trajectories, "
        f"{trained.seconds:.0f} s, total variation {found.total_variation:.4f}, "
        f"log Z {found.log_partition - space.log_partition:+.4f}"
    )
    assert found.total_variation <= 0.02
    assert abs(found.log_partition - space.log_partition) <= 0.02
