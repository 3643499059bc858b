"""What the registry says of an objective is what its class does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import pytest

from gfncore.objectives.base import Objective, make_objective
from gfncore.objectives.log_variance import LogVariance
from gfncore.objectives.options import ObjectiveOptions
from gfncore.objectives.registry import (
    OBJECTIVES,
    find_objective,
    objectives_with,
    reward_objectives,
)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_entry_describes_its_class(name):
    entry = find_objective(name)
    kind = entry.load()
    assert issubclass(kind, Objective)
    extras = ("energies", "inflow", "stops", "prior", "step_energies")
    more = any(getattr(kind, f"needs_{extra}") for extra in extras)
    assert entry.rewards_suffice == (kind.on_policy_allowed and not more)
    assert set(entry.options) <= {field.name for field in fields(ObjectiveOptions)}
    assert not entry.orders or kind.needs_objectives
    assert type(make_objective(name)) is kind


def test_objectives_are_made_by_name():
    assert isinstance(make_objective("log_variance"), LogVariance)
    assert make_objective("log_variance").log_z is None
    made = make_objective("trajectory_balance", 3.0)
    assert made.log_z is not None and made.log_z.item() == 3.0
    assert list(made.state_dict()) == ["log_z"]
    with pytest.raises(ValueError, match="trajectory_balance, log_variance"):
        make_objective("tb")


def test_names_by_what_is_learned():
    distributions, orders = reward_objectives(orders=False), reward_objectives(orders=True)
    assert distributions == (
        "trajectory_balance",
        "log_variance",
        "detailed_balance",
        "sub_trajectory_balance",
    )
    assert orders == ("order_preserving",)
    assert set(reward_objectives()) == {*distributions, *orders}


def test_options_name_their_objectives():
    assert objectives_with("sub_trajectory_lambda") == ("sub_trajectory_balance",)
    assert make_objective("sub_trajectory_balance", sub_trajectory_lambda=1.0).log_decay == 0.0
    with pytest.raises(TypeError, match="sub_trajectory_decay"):
        make_objective("sub_trajectory_balance", sub_trajectory_decay=1.0)


def test_reading_the_registry_does_not_import_torch():
    modules = "gfncore.objectives.registry, gfncore.objectives.options"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
