"""Figures and words that tell whether an answer is to be trusted."""

from __future__ import annotations

import math

import pytest

from phylogfn.results.warnings import failure, posterior_warnings, verdict


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
        ({"extra": {"branch_length_pareto_k": 0.84}}, "branch lengths (Pareto k = 0.84"),
        (
            {"extra": {"branch_length_ess": 3.0, "branch_length_draws": 32000}},
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
    assert len(posterior_warnings(make_posterior(**changes, extra={"known_share": 0.98}))) == 1
    assert posterior_warnings(make_posterior(**changes, extra={"known_share": 0.999})) == ()


def test_searches_that_disagree_make_a_run_doubtful(make_posterior):
    figures = {
        "searches_agree": False,
        "search_share_1": 0.97,
        "search_share_2": 0.52,
        "search_log_mass_difference": 0.62,
        "search_asdsf": 0.21,
        "search_split_difference": 0.44,
    }
    posterior = make_posterior(extra=figures)
    (warning,) = posterior_warnings(posterior)
    for words in ("disagree", "found 97.0%, the other 52.0%", "up to 0.44", "0.210"):
        assert words in warning
    assert verdict(posterior) == "doubtful"
    assert posterior_warnings(make_posterior(extra=figures | {"searches_agree": True})) == ()
    # told once, where the run itself has told it
    assert posterior_warnings(make_posterior(extra=figures, warnings=(warning,))) == (warning,)


def test_searches_that_hardly_reached_the_best_topology_make_a_run_doubtful(make_posterior):
    figures = {"searches_agree": True, "search_share_1": 1.0, "search_share_2": 0.99}
    few = figures | {"scouts": 9, "scout_hits": 1}
    (warning,) = posterior_warnings(make_posterior(extra=few))
    assert "Only 1 of 9 walks from independent starting trees" in warning
    assert verdict(make_posterior(extra=few)) == "doubtful"
    for extra in (few | {"scout_hits": 8}, few | {"search_share_2": 0.3}):
        assert posterior_warnings(make_posterior(extra=extra)) == ()


def test_lost_modes_are_told_unless_hardly_anything_hangs_on_the_sampler(make_posterior):
    lost = {"kl_known_to_sampler": 3.2, "known_share": 0.4}
    (warning,) = posterior_warnings(make_posterior(extra=lost))
    assert (
        "too little probability to some of the topologies" in warning
        and "divergence 3.2" in warning
    )
    assert posterior_warnings(make_posterior(extra={**lost, "known_share": 0.999})) == ()
    assert posterior_warnings(make_posterior(extra={"kl_known_to_sampler": 0.4})) == ()


def test_a_sampler_of_trees_with_lengths_that_lags_behind_is_told(make_posterior):
    (warning,) = posterior_warnings(make_posterior(extra={"kl_posterior_to_sampler": 6.4}))
    assert "too little density" in warning and "KL divergence 6.4" in warning
    assert posterior_warnings(make_posterior(extra={"kl_posterior_to_sampler": 2.0})) == ()


def test_warnings_of_the_run_come_first_and_once(make_posterior):
    warnings = posterior_warnings(make_posterior(warnings=("one", "two", "one"), ess=50.0))
    assert warnings[:2] == ("one", "two")
    assert len(warnings) == 3


def test_a_run_with_hardly_any_effective_draws_has_failed(make_posterior):
    assert failure(make_posterior(ess=10.0)) is None
    assert verdict(make_posterior(ess=9.9)) == "failed"
    # all that matters is summed, and the sampler reaches it
    covered = {"known_share": 0.9999, "kl_known_to_sampler": 0.3}
    assert failure(make_posterior(ess=9.9, extra=covered)) is None
    # known topologies that the sampler does not reach say nothing of those that it should find
    lost = {"known_share": 0.9999, "kl_known_to_sampler": 30.0}
    assert failure(make_posterior(ess=1.1, extra=lost)) is not None
    first, *_ = posterior_warnings(make_posterior(ess=1.1, warnings=("The budget ended.",)))
    assert first == failure(make_posterior(ess=1.1))


def test_verdict(make_posterior):
    assert verdict(make_posterior(warnings=("The budget ended.",))) == "passed"
    assert verdict(make_posterior(pareto_k=0.9)) == "doubtful"
    assert verdict(make_posterior(extra={"branch_length_pareto_k": 0.9})) == "doubtful"


def test_the_tail_of_the_branch_lengths_is_judged_apart(make_posterior):
    """The larger of both k stands in the summary; each is judged by its own rule."""
    extra = {"branch_length_pareto_k": 0.2, "topology_pareto_k": 0.9, "known_share": 0.999}
    assert posterior_warnings(make_posterior(pareto_k=0.9, extra=extra)) == ()
    extra = {"branch_length_pareto_k": 0.9, "topology_pareto_k": math.nan, "known_share": 0.999}
    (warning,) = posterior_warnings(make_posterior(pareto_k=0.9, extra=extra))
    assert "branch lengths" in warning


def test_few_effective_draws_of_branch_lengths_are_told(make_posterior):
    certain = {"known_share": 0.9999, "branch_length_draws": 1280}
    (warning,) = posterior_warnings(
        make_posterior(n_draws=40, extra={**certain, "branch_length_ess": 30.0})
    )
    assert "effective sample size is low (30" in warning
    (warning,) = posterior_warnings(
        make_posterior(n_draws=400, extra={**certain, "branch_length_ess": 150.0})
    )
    assert "about as much information as 150 " in warning
