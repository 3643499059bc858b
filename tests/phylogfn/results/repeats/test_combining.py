"""The combined posterior of repeated runs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp

from gfncore.program.messages import Note
from phylogfn.results.facts import KnownTopologies
from phylogfn.results.posterior_data import split_table
from phylogfn.results.repeats.combining import combine_runs, mixture_shares, pool_evidences
from phylogfn.results.repeats.comparing import compare_runs, list_together
from phylogfn.results.repeats.figures import combined_warnings
from phylogfn.trees.splits import SplitProbabilities


def combine(runs, failed=None, n_draws=40, most=1000):
    failed = [False] * len(runs) if failed is None else failed
    listed = list_together(runs)
    rng = np.random.default_rng(1)
    return combine_runs(runs, compare_runs(runs, failed, listed), listed, n_draws, most, rng)


@pytest.mark.parametrize("errors", [(0.1, 0.1), (0.05, 0.2), (0.02, 0.03, 0.05)])
def test_the_error_of_runs_that_agree_is_right(errors):
    """Estimates are drawn with their errors: the combined one has the error that is stated."""
    rng = np.random.default_rng(2)
    errors = np.array(errors)
    found = [pool_evidences(errors * rng.normal(size=len(errors)), errors) for _ in range(4000)]
    z = np.array([one.log_evidence / one.standard_error for one in found])
    assert abs(z.mean()) < 0.15  # the mean is one of Z, not of log Z
    assert 0.9 < z.std() < 1.05
    best = 1.0 / math.sqrt((1.0 / errors**2).sum())
    assert np.std([one.log_evidence for one in found]) < 1.35 * best


def test_the_error_of_runs_that_disagree_covers_the_difference():
    found = pool_evidences(np.array([-100.0, -100.5]), np.array([0.001, 0.001]))
    assert -100.3 < found.log_evidence < -100.2
    assert found.standard_error == pytest.approx(0.25, rel=0.05)
    assert found.between == pytest.approx(found.standard_error, rel=1e-3)
    far = pool_evidences(np.array([-100.0, -120.0]), np.array([0.01, 0.01]))
    assert far.log_evidence == pytest.approx(-100.0 - math.log(2.0), abs=0.01)
    assert far.standard_error > 10.0


def test_three_runs_of_which_one_differs():
    values, errors = np.array([-5.0, -5.1, -6.0]), np.array([0.1, 0.1, 0.1])
    found = pool_evidences(values, errors)
    # DerSimonian and Laird, by hand
    weights = 1.0 / errors**2
    centre = (weights * values).sum() / weights.sum()
    q = (weights * (values - centre) ** 2).sum()
    t2 = (q - 2.0 - 2.0 * math.sqrt(4.0)) / (weights.sum() - (weights**2).sum() / weights.sum())
    shares = np.exp(values) / np.exp(values).sum()
    assert found.shares == pytest.approx(shares)
    assert found.standard_error == pytest.approx(
        math.sqrt((shares**2).sum() * (errors[0] ** 2 + t2))
    )


def test_equal_runs_give_their_posterior_with_a_smaller_error(make_posterior):
    run = make_posterior(topology_errors=np.full(4, 0.01))
    found = combine([run, run])
    assert found.log_evidence == pytest.approx(run.log_evidence)
    assert found.log_evidence_se == pytest.approx(run.log_evidence_se / math.sqrt(2.0))
    assert found.topology_probabilities == pytest.approx(run.topology_probabilities)
    assert found.topology_errors == pytest.approx(np.full(4, 0.01 / math.sqrt(2.0)))
    assert (found.ess, found.n_proposals) == (2 * run.ess, 2 * run.n_proposals)
    assert found.n_draws == 40 and found.runs == (run, run)
    assert found.comparison is not None and found.comparison.agree


def test_two_groups_of_trees_are_summed(make_posterior):
    """Each run knows one of two groups, and its evidence is that of its group alone."""
    first = make_posterior(seed=1, topology_errors=np.full(4, 0.01))
    second = make_posterior(seed=2, topology_errors=np.full(4, 0.01))
    lower = second.log_evidence - math.log(3.0)
    second = replace(
        second,
        log_evidence=lower,
        topology_log_evidences=lower + np.log(second.topology_probabilities),
    )
    found = combine([first, second], n_draws=400)
    assert found.log_evidence == pytest.approx(
        float(np.asarray(logsumexp([first.log_evidence, lower])))
    )
    assert found.n_topologies == 8
    own = found.topology_probabilities
    both = np.concatenate(
        [0.75 * first.topology_probabilities, 0.25 * second.topology_probabilities]
    )
    assert own == pytest.approx(np.sort(both)[::-1])
    of_first = {row.tobytes() for row in first.topology_parents}
    share = np.mean([row.tobytes() in of_first for row in found.draw_parents])
    assert share == pytest.approx(0.75, abs=0.01)


def test_probabilities_of_drawn_trees_are_averaged(make_posterior):
    """Shares of draws are not sums: a topology that only one run drew counts half."""
    p, q = np.array([0.7, 0.3]), np.array([1.0])
    known = KnownTopologies(summed=False)
    first = make_posterior(n_topologies=2, topology_probabilities=p, known=known)
    second = replace(
        first,
        topology_parents=first.topology_parents[:1],
        topology_probabilities=q,
        topology_log_evidences=np.array([first.log_evidence]),
    )
    found = combine([first, second])
    assert found.topology_probabilities == pytest.approx([0.85, 0.15])
    assert found.topology_log_evidences == pytest.approx(found.log_evidence + np.log([0.85, 0.15]))
    assert found.log_evidence == pytest.approx(first.log_evidence)


def test_errors_of_topologies_cover_the_difference_of_the_runs(make_posterior):
    errors = np.full(2, 0.001)
    first = make_posterior(
        n_topologies=2, topology_probabilities=np.array([0.6, 0.4]), topology_errors=errors
    )
    second = replace(first, topology_probabilities=np.array([0.8, 0.2]))
    found = combine([first, second])
    assert (found.topology_errors >= 0.0999).all()


def test_clades_of_the_mixture(make_posterior):
    run = make_posterior(n_topologies=2, topology_probabilities=np.array([0.6, 0.4]))
    supports = split_table(run).supports
    values = np.array(list(supports.values()))

    def with_values(p):
        given = SplitProbabilities(tuple(supports), p, np.full(len(p), 0.01))
        return replace(run, split_probabilities=given)

    found = combine([with_values(values), with_values(values + 0.02)]).split_probabilities
    assert found is not None and found.splits == tuple(supports)
    assert found.probabilities == pytest.approx(values + 0.01)
    assert found.errors == pytest.approx(np.full(len(values), 0.01))  # half of the difference
    assert combine([with_values(values), run]).split_probabilities is None


def test_shares_of_the_mixture():
    p = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    assert mixture_shares(p, p[0]) == pytest.approx([0.5, 0.5])
    # the second run has all of the first and more
    p = np.array([[1.0, 0.0], [0.6, 0.4]])
    assert mixture_shares(p, np.array([0.6, 0.4])) == pytest.approx([0.0, 1.0], abs=0.01)
    p = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert mixture_shares(p, np.array([0.7, 0.3])) == pytest.approx([0.7, 0.3])


def test_a_failed_run_is_left_out(make_posterior):
    good = make_posterior(topology_errors=np.full(4, 0.01))
    bad = make_posterior(seed=2, ess=1.2, log_evidence=-7000.0, log_evidence_se=math.inf)
    found = combine([bad, good], [True, False])
    assert (found.log_evidence, found.log_evidence_se) == (good.log_evidence, good.log_evidence_se)
    assert found.topology_probabilities == pytest.approx(good.topology_probabilities)
    assert {row.tobytes() for row in found.draw_parents} <= {
        row.tobytes() for row in good.topology_parents
    }
    assert combine([bad, bad], [True, True]).ess == bad.ess


def test_draws_are_those_of_the_runs(make_posterior):
    first = make_posterior(n_draws=20)
    second = replace(
        first,
        draw_parents=first.draw_parents[:19],
        draw_lengths=first.draw_lengths[:19] + 1.0,
        draw_log_likelihoods=first.draw_log_likelihoods[:19],
        draw_log_priors=first.draw_log_priors[:19],
    )
    found = combine([first, second], n_draws=39)
    rows = np.concatenate([first.draw_lengths, second.draw_lengths])
    assert np.array_equal(np.sort(found.draw_lengths[:, 1]), np.sort(rows[:, 1]))
    for row, likelihood in zip(found.draw_lengths, found.draw_log_likelihoods, strict=True):
        at = int(np.flatnonzero((rows == row).all(axis=1))[0]) % 20
        assert likelihood == first.draw_log_likelihoods[at]


def test_warnings_of_all_runs_are_told_once():
    both, first, second = Note("b", "both"), Note("f", "first"), Note("s", "second")
    told = combined_warnings([[both, first], [second, both]])
    assert [note.code for note in told] == ["b", "f", "s"]
    assert told == ("both", "run 1: first", "run 2: second")
