"""A new way of building trees is one entry of the registry, and a run takes it to an answer."""

import json

import pytest

from gfncore.errors import UserError
from gfncore.program.progress import Progress
from phylogfn.runs.sample.main import run_sample
from phylogfn.samplers.insertion import InsertionSampler
from phylogfn.samplers.merging import MergingSampler
from phylogfn.samplers.merging_lengths import MergingLengthsSampler
from phylogfn.samplers.registry import SAMPLERS, make_sampler
from phylogfn.settings import SampleSettings
from tests.phylogfn.runs.sample.test_main import SMALL, write_fasta


def settings(tmp_path, **given):
    standard = {
        "model": "JC69",
        "branch_prior": "exp:10",
        "samples": 20,
        "budget": "10m",
        "runs": 1,
        "seed": 3,
        "threads": 1,
        "quiet": True,
    }
    return SampleSettings(
        alignment=str(tmp_path / "six.fasta"), output=tmp_path / "out", **standard | given
    )


def test_settings_choose_the_sampler(tmp_path):
    assert type(make_sampler(settings(tmp_path))) is InsertionSampler
    merging = settings(tmp_path, environment="merging")
    assert type(make_sampler(merging)) is MergingSampler
    lengths = settings(tmp_path, environment="merging", branch_lengths="lognormal")
    assert type(make_sampler(lengths)) is MergingLengthsSampler


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"backward_policy": "learned"}, "--backward-policy learned: needs"),
        ({"backward_policy": "pessimistic"}, "--backward-policy pessimistic: needs"),
        ({"branch_lengths": "lognormal"}, "--branch-lengths lognormal: needs"),
        (
            {"environment": "merging", "branch_lengths": "lognormal", "random_trees": True},
            "--random-trees: needs",
        ),
        (
            {
                "environment": "merging",
                "branch_lengths": "bins",
                "objective": "sub_trajectory_balance",
            },
            "--objective sub_trajectory_balance: needs --branch-lengths collapsed",
        ),
        (
            {"environment": "merging", "branch_lengths": "bins", "branch_prior": "uniform:0,1"},
            "--branch-prior uniform:0,1: needs",
        ),
    ],
)
def test_a_sampler_refuses_what_it_does_not_offer(tmp_path, given, message):
    with pytest.raises(UserError, match=message):
        make_sampler(settings(tmp_path, **given))


def test_a_registered_sampler_runs_to_an_answer(tmp_path, monkeypatch):
    asked = set()

    class ReversedInsertion(InsertionSampler):
        """Insertion in the reverse of the usual order."""

        def prepare(self, run, state):
            super().prepare(run, state)
            asked.add("prepare")
            state.order = state.order[::-1].copy()

        def draw(self, *given):
            asked.add("draw")
            return super().draw(*given)

        def divergence(self, *given):
            asked.add("divergence")
            return super().divergence(*given)

    monkeypatch.setitem(SAMPLERS, ("reversed", False), ReversedInsertion)
    write_fasta(tmp_path / "six.fasta", [0, 1, 2, 5, 7, 11], 150)
    chosen = settings(tmp_path).model_copy(update={"environment": "reversed"})
    with Progress("phylogfn", quiet=True) as progress:
        run_sample(chosen, progress, SMALL)
    assert asked == {"prepare", "draw", "divergence"}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["log_evidence"] < 0.0 and summary["ess"] > 0.0
    assert len((tmp_path / "out" / "trees.nwk").read_text().splitlines()) == 20
