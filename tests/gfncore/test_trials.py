"""Methods tried on small spaces, in code and by ``python -m gfncore``."""

import importlib
import math
from pathlib import Path

import pytest

import gfncore.__main__
from gfncore.errors import UserError
from gfncore.evaluation import check_contract
from gfncore.spaces import Bags, BitSequences, Hypergrid
from gfncore.trials import MethodSettings, run_trial

HUBER = {"loss_shape": "pseudo_huber"}
LEARN_NO_LOG_Z = ("maximum_likelihood", "log_variance", "modified_detailed_balance")


@pytest.mark.parametrize(
    ("space", "settings"),
    [
        (Hypergrid(4), {}),
        (Hypergrid(4), {"objective": "maximum_likelihood"}),
        (Bags(3, 3), {"objective": "detailed_balance", "backward": "learned"}),
        (BitSequences(4, 2, any_order=False), {"objective": "log_variance", "replay": 16}),
        (Hypergrid(4), {"objective": "modified_detailed_balance"}),
        (Bags(3, 3), {"objective": "relative_trajectory_balance"}),
        (Hypergrid(4), {"objective": "sub_trajectory_balance"}),
        (Bags(3, 3), {"backward": "maximum_entropy"}),
        (Bags(3, 3), {"objective": "log_variance", "backward": "trajectory_likelihood"}),
        (Hypergrid(4), {"walkers": 16}),
        (Hypergrid(4), {"objective": "learned_energy_decomposition", "steps": 300}),
        (Bags(3, 3), {"objective": "log_variance", "walkers": 12, "walker_levels": (1.0, 0.5)}),
        (Bags(3, 3), {"backward": "pessimistic", "objective_options": HUBER, "steps": 300}),
    ],
)
def test_a_trial_learns_its_target(space, settings):
    settings = {"steps": 150, "batch": 32, "learning_rate": 1e-2} | settings
    found = run_trial(space, space.make_policy, MethodSettings(**settings))
    untrained = run_trial(
        space, space.make_policy, MethodSettings(**settings | {"steps": 1, "batch": 1})
    )
    assert found.total_variation < min(0.06, 0.3 * untrained.total_variation)
    assert found.log_z_error < 0.05
    assert abs(found.estimated_log_z - found.log_z) < 5 * found.standard_error + 1e-4
    given = settings.get("objective") == "maximum_likelihood"
    a_step = 32 + settings.get("walkers", 0)
    assert found.calls == (0 if given else settings["steps"] * a_step)
    assert found.mass_found == pytest.approx(1.0 if not given else 0.0, abs=0.1)
    learns_none = settings.get("objective") in LEARN_NO_LOG_Z
    assert math.isnan(found.learned_log_z) == learns_none


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(UserError, match="order_preserving"):
        MethodSettings(objective="order_preserving")
    with pytest.raises(UserError, match="backward is 'none'"):
        MethodSettings(backward="none")
    with pytest.raises(UserError, match="no use for a backward policy"):
        MethodSettings("flow_matching", backward="learned")
    with pytest.raises(UserError, match="given draws of the target instead"):
        MethodSettings("maximum_likelihood", walkers=4)
    with pytest.raises(UserError, match="give their number by --walkers"):
        MethodSettings(walker_levels=(1.0, 0.5))
    with pytest.raises(UserError, match="walker-levels: 5 walkers cannot be divided among 2"):
        levels = MethodSettings(walkers=5, walker_levels=(1.0, 0.5))
        run_trial(Hypergrid(4), Hypergrid(4).make_policy, levels)
    tree = BitSequences(4, 2, any_order=False)
    with pytest.raises(UserError, match="built in one way"):
        run_trial(tree, tree.make_policy, MethodSettings(backward="learned"))
    with pytest.raises(UserError, match="modified_detailed_balance"):
        run_trial(tree, tree.make_policy, MethodSettings("modified_detailed_balance"))


def test_the_command_prints_what_the_trial_found(capsys):
    arguments = ["try", "bags", "--size", "3", "--kinds", "2", "--steps", "20", "--batch", "8"]
    assert gfncore.__main__.main(arguments) == 0
    printed, told = capsys.readouterr()
    rows = dict(line.split("\t") for line in printed.splitlines())
    assert rows["objects"] == "4" and rows["calls"] == "160"
    assert 0.0 <= float(rows["total_variation"]) <= 1.0
    assert len(told.splitlines()) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hypergrid", "--objective", "order"], "objective is 'order'"),
        (["bits", "--bits", "7"], "7 bits"),
        (["bags", "--steps", "0"], "--steps is 0"),
        (["bags", "--epsilon", "1"], "--epsilon"),
        (["bags", "--backward", "best"], "--backward is 'best'"),
        (["bags", "--objective", "flow_matching", "--backward", "pessimistic"], "no use for"),
        (["sets"], "sets"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, message, capsys):
    assert gfncore.__main__.main(["try", *arguments]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1


def test_the_environment_of_the_guide_is_short_and_right(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "environment.md").read_text()
    code = page.partition("```{file} subsets.py\n")[2].partition("\n```\n")[0]
    body = code[code.index("@dataclass") : code.index("def make_policy")]
    assert len(body.strip().splitlines()) <= 60
    (tmp_path / "subsets.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    subsets = importlib.import_module("subsets")
    assert check_contract(subsets.Subsets()) == math.comb(6, 3)
    settings = MethodSettings("detailed_balance", steps=150, batch=32, learning_rate=1e-2)
    found = run_trial(subsets.Subsets(), subsets.make_policy, settings)
    assert found.total_variation < 0.05 and found.log_z_error < 0.05
