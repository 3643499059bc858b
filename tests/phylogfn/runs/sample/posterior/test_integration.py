"""How the time for draws is divided among models."""

from __future__ import annotations

import numpy as np
import pytest

from phylogfn.likelihood.screening import ScreenedModel
from phylogfn.runs.sample.posterior.integration import _time_shares


def test_time_is_divided_by_the_probabilities_of_models():
    screened = [
        ScreenedModel("GTR+G4", 9, -100.0, 210.0),
        ScreenedModel("HKY85", 4, -104.0, 210.0 + 2.0 * np.log(9.0)),
        ScreenedModel("JC69", 0, -200.0, 400.0),  # not a contender
    ]
    shares = _time_shares(["GTR+G4", "HKY85"], screened)
    np.testing.assert_allclose(shares, [0.25 + 0.45, 0.25 + 0.05])
    # half of an even share at least
    assert _time_shares(["GTR+G4", "JC69"], screened)[1] == pytest.approx(0.25)
    np.testing.assert_allclose(_time_shares(["GTR+G4+I"], []), [1.0])
