"""One sampler at five reward exponents, on the 92 molecules of up to three atoms of C, N and O."""

import numpy as np
import pytest
import torch

from benchmarks.molgen.reward_exponents import (
    ConditionedRecipe,
    distances,
    make_space,
    train_conditioned,
)

pytestmark = [pytest.mark.verification, pytest.mark.long]

MIDDLE, SPREAD = np.sqrt(0.5 * 64.0), np.sqrt(64.0 / 0.5)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_one_sampler_is_right_at_five_exponents():
    space = make_space(3, float(MIDDLE))
    assert len(space.molecules) == 92
    recipe = ConditionedRecipe(steps=300)
    policy = train_conditioned(space, float(SPREAD), recipe, seed=7)
    found = distances(space, policy, np.geomspace(1.0 / SPREAD, SPREAD, 5).tolist())
    print(f"total variation {found.round(4)}")
    assert found.max() <= 0.03
