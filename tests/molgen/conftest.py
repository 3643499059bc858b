"""Libraries and facts of runs for the tests of what is written."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gfncore.program.provenance import ResourceUse
from molgen.citations import ALWAYS_CITED
from molgen.results.columns import LibraryColumns
from molgen.results.facts import RunFacts, TrainingFacts

SMILES = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "CC(C)Cc1ccc(C(C)C(=O)O)cc1",
    "CN1CCC[C@H]1c1cccnc1",
    "O=C(O)c1ccccc1",
    "CCO",
    "c1ccc2[nH]ccc2c1",
    "CN1C=NC2=C1C(=O)N(C)C(=O)N2C",
    "CC(=O)Nc1ccc(O)cc1",
)


def canonical(smiles):
    from rdkit import Chem

    return [Chem.CanonSmiles(text) for text in smiles]


@pytest.fixture
def make_library():
    def make(smiles=SMILES, reward=None, *, n_objectives=1, **more):
        n = len(smiles)
        rng = np.random.default_rng(n)
        reward = rng.uniform(0.5, 1, n) if reward is None else np.asarray(reward, float)
        objectives = rng.random((n, n_objectives)) if n_objectives > 1 else reward[:, None]
        scores = SimpleNamespace(
            total=reward,
            components={"qed": reward, "size": np.arange(n, dtype=float)},
            objectives=objectives,
        )
        more.setdefault("log_probability", np.log(reward) - 3.0 if n else None)
        return LibraryColumns.build(canonical(smiles), scores, **more)

    return make


@pytest.fixture
def run_facts():
    return RunFacts(
        command="molgen sample -o out",
        seed=1,
        score="qed",
        environment="fragments",
        symmetry="merged",
        objective="trajectory_balance",
        n_proposals=1000,
        oracle_calls=9000,
        use=ResourceUse(301.2, 560.0, 2**29),
        validity=1.0,
        log_partition=3.0,
        log_partition_se=0.02,
        ess=700.0,
        methods=(*ALWAYS_CITED, "qed"),
        budget_seconds=300.0,
        training=TrainingFacts(4000, 128_000, 1, {"policy": 100.5}),
    )
