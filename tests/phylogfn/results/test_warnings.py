"""Figures and words that tell whether an answer is to be trusted."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gfncore.program.messages import Note
from phylogfn.exploration.agreement import SearchAgreement
from phylogfn.results.facts import BranchLengthFacts, KnownTopologies, SearchFacts
from phylogfn.results.warnings import failure, posterior_warnings, verdict

HEAVY_TAIL = BranchLengthFacts(32000, 8000.0, 0.84, topology_pareto_k=0.3)
FEW_LENGTHS = BranchLengthFacts(32000, 3.0, 0.3, topology_pareto_k=0.3)
CERTAIN = KnownTopologies(0.999)


def test_a_good_run_has_no_warnings(make_posterior):
    assert posterior_warnings(make_posterior()) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pareto_k": 0.9}, "Pareto k = 0.90"),
        ({"pareto_k": math.nan}, "cannot be estimated"),
        ({"pareto_k": math.inf}, "standard errors are unreliable"),
        ({"ess": 12.0}, "effective sample size is low"),
        ({"ess": math.nan}, "The run failed"),
        ({"ess": 1.1}, "effective sample size is 1.1 of 2000 draws"),
        ({"branch_length_weights": HEAVY_TAIL}, "branch lengths (Pareto k = 0.84"),
        (
            {"branch_length_weights": FEW_LENGTHS},
            "effective sample size of the branch lengths is 3.0 of 32000",
        ),
        ({"log_evidence_se": 1.5}, "standard error 1.50"),
        ({"log_evidence": -math.inf}, "The run failed"),
        ({"n_draws": 300, "ess": 110.0}, "about as much information as 110"),
    ],
)
def test_warnings_in_plain_words(make_posterior, changes, words):
    (warning,) = posterior_warnings(make_posterior(**changes))
    assert words in warning


def test_the_tail_does_not_matter_where_half_of_the_draws_are_effective(make_posterior):
    assert posterior_warnings(make_posterior(pareto_k=3.0, ess=1500.0)) == ()


@pytest.mark.parametrize(
    "changes",
    [{"pareto_k": 3.0}, {"pareto_k": math.nan}, {"ess": 12.0}, {"n_draws": 300, "ess": 110.0}],
)
def test_the_weights_do_not_matter_where_nearly_all_is_summed(make_posterior, changes):
    assert len(posterior_warnings(make_posterior(**changes, known=KnownTopologies(0.98)))) == 1
    assert posterior_warnings(make_posterior(**changes, known=CERTAIN)) == ()
    # with branch lengths, known topologies are compared with the sampler, but not summed
    known = KnownTopologies(0.999, summed=False)
    assert len(posterior_warnings(make_posterior(**changes, known=known))) == 1


def test_searches_that_disagree_make_a_run_doubtful(make_posterior):
    agreement = SearchAgreement(0.97, 0.52, 0.62, asdsf=0.21, split_difference=0.44)
    searches = SearchFacts(agreement, 20, 20)
    posterior = make_posterior(searches=searches)
    (warning,) = posterior_warnings(posterior)
    for words in ("disagree", "found 97.0%, the other 52.0%", "up to 0.44", "0.210"):
        assert words in warning
    assert verdict(posterior) == "doubtful"
    alike = SearchFacts(replace(agreement, asdsf=0.01, split_difference=0.1), 20, 20)
    assert posterior_warnings(make_posterior(searches=alike)) == ()
    # told once, where the run itself has told it
    told = make_posterior(searches=searches, warnings=(warning,))
    assert posterior_warnings(told) == (warning,)


def test_searches_that_hardly_reached_the_best_topology_make_a_run_doubtful(make_posterior):
    agreement = SearchAgreement(1.0, 0.99, 0.01, asdsf=0.0, split_difference=0.0)
    few = SearchFacts(agreement, n_scouts=9, n_hits=1)
    (warning,) = posterior_warnings(make_posterior(searches=few))
    assert "Only 1 of 9 walks from independent starting trees" in warning
    assert verdict(make_posterior(searches=few)) == "doubtful"
    none = replace(few, n_scouts=0, n_hits=0)
    (warning,) = posterior_warnings(make_posterior(searches=none))
    assert "no time for walks from independent starting trees" in warning
    wide = replace(agreement, second_share=0.3)
    for searches in (replace(few, n_hits=8), replace(few, agreement=wide)):
        assert posterior_warnings(make_posterior(searches=searches)) == ()


def test_lost_modes_are_told_unless_hardly_anything_hangs_on_the_sampler(make_posterior):
    lost = KnownTopologies(0.4, divergence=3.2)
    (warning,) = posterior_warnings(make_posterior(known=lost))
    assert (
        "too little probability to some of the topologies" in warning
        and "divergence 3.2" in warning
    )
    for known in (replace(lost, share=0.999), replace(lost, divergence=0.4)):
        assert posterior_warnings(make_posterior(known=known)) == ()


def test_a_sampler_of_trees_with_lengths_that_lags_behind_is_told(make_posterior):
    lags = KnownTopologies(divergence=6.4, summed=False)
    (warning,) = posterior_warnings(make_posterior(known=lags))
    assert "too little density" in warning and "KL divergence 6.4" in warning
    assert posterior_warnings(make_posterior(known=replace(lags, divergence=2.0))) == ()


def test_warnings_of_the_run_come_first_and_once(make_posterior):
    warnings = posterior_warnings(
        make_posterior(
            warnings=tuple(Note("own", text) for text in ("one", "two", "one")), ess=50.0
        )
    )
    assert warnings[:2] == ("one", "two")
    assert len(warnings) == 3


def test_a_run_with_hardly_any_effective_draws_has_failed(make_posterior):
    assert failure(make_posterior(ess=10.0)) is None
    assert verdict(make_posterior(ess=9.9)) == "failed"
    # all that matters is summed, and the sampler reaches it
    covered = KnownTopologies(0.9999, divergence=0.3)
    assert failure(make_posterior(ess=9.9, known=covered)) is None
    # known topologies that the sampler does not reach say nothing of those that it should find
    lost = KnownTopologies(0.9999, divergence=30.0)
    assert failure(make_posterior(ess=1.1, known=lost)) is not None
    first, *_ = posterior_warnings(
        make_posterior(ess=1.1, warnings=(Note("few-draws", "The budget ended."),))
    )
    assert first == failure(make_posterior(ess=1.1))


def test_verdict(make_posterior):
    told = Note("few-draws", "The budget ended.")
    assert verdict(make_posterior(warnings=(told,))) == "unconfirmed"
    assert verdict(make_posterior(pareto_k=0.9)) == "doubtful"
    assert verdict(make_posterior(branch_length_weights=HEAVY_TAIL)) == "doubtful"


def test_the_tail_of_the_branch_lengths_is_judged_apart(make_posterior):
    """The larger of both k stands in the summary; each is judged by its own rule."""
    weights = BranchLengthFacts(32000, 8000.0, pareto_k=0.2, topology_pareto_k=0.9)
    posterior = make_posterior(pareto_k=0.9, known=CERTAIN, branch_length_weights=weights)
    assert posterior_warnings(posterior) == ()
    weights = BranchLengthFacts(32000, 8000.0, pareto_k=0.9, topology_pareto_k=math.nan)
    posterior = make_posterior(pareto_k=0.9, known=CERTAIN, branch_length_weights=weights)
    (warning,) = posterior_warnings(posterior)
    assert "branch lengths" in warning


def test_few_effective_draws_of_branch_lengths_are_told(make_posterior):
    few = BranchLengthFacts(1280, ess=30.0, pareto_k=0.3)
    (warning,) = posterior_warnings(
        make_posterior(n_draws=40, known=CERTAIN, branch_length_weights=few)
    )
    assert "effective sample size is low (30" in warning
    (warning,) = posterior_warnings(
        make_posterior(n_draws=400, known=CERTAIN, branch_length_weights=replace(few, ess=150.0))
    )
    assert "about as much information as 150 " in warning


def test_summary_says_how_parameters_and_lengths_were_drawn():
    drawn = BranchLengthFacts(4096, 2000.0, 0.3, method="annealed", annealing_steps=8)
    figures = drawn.as_dict()
    assert (figures["branch_length_method"], figures["annealing_steps"]) == ("annealed", 8)
    assert "branch_length_method" not in BranchLengthFacts(4096, 2000.0, 0.3).as_dict()
