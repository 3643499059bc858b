"""Compound Dirichlet priors: densities, integrals by brute force, walks, and runs.

`plain_log_density` is the formula of the paper, written out; it also gives the log prior that
MrBayes prints.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess

import numpy as np
import pytest
from numba import typeof
from scipy import stats
from scipy.special import gammaln, logsumexp

from phylogfn.estimates.lengths.one_topology import topology_evidence
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.exploration.walks import N_REPLICAS, Walkers
from phylogfn.likelihood.branch_prior import (
    ExponentialPrior,
    GammaDirichletPrior,
    GammaPrior,
    InverseGammaDirichletPrior,
    UniformPrior,
    external_branches,
    parse_branch_prior,
)
from tests.phylogfn.kernels.test_walk import run_walk, visit_shares
from tests.phylogfn.runs.sample.test_main import run_small, write_fasta

NAMES = [
    "gammadir:1,0.1,1,1",
    "gammadir:1.7,0.4,0.6,2.5",
    "gammadir:30,10,2,0.5",
    "invgammadir:3,1,1,1",
    "invgammadir:3.3,0.7,0.6,2.5",
]


def plain_log_density(prior, lengths, external):
    """Log density of the branch lengths of one tree."""
    a = [prior.alpha if own else prior.alpha * prior.ratio for own in external]
    length = sum(lengths)
    if isinstance(prior, GammaDirichletPrior):
        of_length = stats.gamma.logpdf(length, prior.total_shape, scale=1.0 / prior.total_rate)
    else:
        of_length = stats.invgamma.logpdf(length, prior.total_shape, scale=prior.total_rate)
    of_proportions = gammaln(sum(a)) - sum(map(gammaln, a))
    for own, b in zip(a, lengths, strict=True):
        of_proportions += (own - 1.0) * math.log(b / length)
    return of_length + of_proportions - (len(lengths) - 1) * math.log(length)


def prior_draws(prior, external, n, rng):
    """Branch lengths (n, 2n-2) drawn from the prior; column 0 is 0."""
    a = np.where(external, prior.alpha, prior.alpha * prior.ratio)
    proportions = rng.gamma(a, size=(n, len(a)))
    proportions /= proportions.sum(axis=1, keepdims=True)
    total = rng.gamma(prior.total_shape, size=n)
    if isinstance(prior, GammaDirichletPrior):
        total /= prior.total_rate
    else:
        total = prior.total_rate / total
    return np.hstack([np.zeros((n, 1)), proportions * total[:, None]])


def test_text():
    prior = parse_branch_prior("GammaDir:1,0.1,1,1")
    assert prior == GammaDirichletPrior(1.0, 0.1, 1.0, 1.0)
    assert prior.name == "gammadir:1,0.1,1,1"
    prior = parse_branch_prior("invgamdir:3,1,0.5,2")  # as MrBayes has it
    assert prior == InverseGammaDirichletPrior(3.0, 1.0, 0.5, 2.0)
    assert parse_branch_prior(prior.name) == prior and prior.name == "invgammadir:3,1,0.5,2"
    for kind in ("gammadir", "invgammadir"):
        for values in ("", ":", ":1,0.1,1", ":1,0.1,1,1,1", ":0,0.1,1,1", ":1,-1,1,1", ":1,1,1,x"):
            with pytest.raises(ValueError, match=f"; write {kind}:ALPHA_T,BETA_T,ALPHA,C, such as"):
                parse_branch_prior(kind + values)


@pytest.mark.parametrize(
    ("name", "log_prior"),
    [
        # printed by MrBayes 3.2.7a for this tree of five taxa, less the prior of its topology
        ("gammadir:1.7,0.4,0.6,2.5", 0.068741),
        ("invgammadir:3.3,0.7,0.6,2.5", -0.304433),
    ],
)
def test_density_is_that_of_mrbayes(name, log_prior):
    prior = parse_branch_prior(name)
    lengths = np.array([[0.1, 0.2, 0.05, 0.3, 0.11, 0.07, 0.02]])
    external = np.arange(7) < 5
    expected = log_prior + math.log(15.0)
    assert prior.log_density(lengths, external)[0] == pytest.approx(expected, abs=2e-6)
    assert plain_log_density(prior, lengths[0], external) == pytest.approx(expected, abs=2e-6)


@pytest.mark.skipif(shutil.which("mb") is None, reason="MrBayes is not installed")
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("exp:7", "exponential(7)"),
        ("uniform:0,2.5", "uniform(0,2.5)"),
        ("gammadir:2,0.5,0.7,1.5", "gammadir(2,0.5,0.7,1.5)"),
        ("invgammadir:3,1.5,1.2,0.4", "invgamdir(3,1.5,1.2,0.4)"),
    ],
)
def test_mrbayes_has_the_same_log_prior(tmp_path, name, theirs):
    lengths = np.random.default_rng(8).exponential(0.2, 7).round(6)
    a, b, c, d, e, inner, other = lengths
    rows = "\n".join(f"{taxon} ACGT{state}" for taxon, state in zip("abcde", "AACCG", strict=True))
    (tmp_path / "x.nex").write_text(
        f"""#NEXUS
begin data; dimensions ntax=5 nchar=5; format datatype=dna; matrix
{rows}
; end;
begin trees; tree t = (a:{a},b:{b},((c:{c},d:{d}):{inner},e:{e}):{other}); end;
begin mrbayes;
 set autoclose=yes nowarn=yes seed=1 swapseed=1;
 lset nst=1; prset statefreqpr=fixed(equal) brlenspr=unconstrained:{theirs};
 startvals tau=t V=t;
 mcmc ngen=1 nruns=1 nchains=1 startparams=current starttree=current;
end;
"""
    )
    done = subprocess.run(
        ["mb", "x.nex"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    found = re.search(r"log prior probs:\s+Chain 1 -- \S+ -- (\S+)", done.stdout)
    assert found, done.stdout[-2000:]
    external = np.arange(7) < 5
    log_prior = parse_branch_prior(name).log_density(lengths[None], external)[0] - math.log(15.0)
    assert float(found[1]) == pytest.approx(log_prior, abs=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_densities_and_derivatives(name):
    prior, rng = parse_branch_prior(name), np.random.default_rng(1)
    lengths = rng.gamma(0.5, 0.2, (4, 9))
    external = np.array([rng.permutation(9) < 6 for _ in range(4)])
    found = prior.log_density(lengths, external)
    expected = [plain_log_density(prior, b, e) for b, e in zip(lengths, external, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    of_tree = prior.tree_density(lengths[0], external[0])
    assert of_tree.value == pytest.approx(expected[0], rel=1e-10)
    for v in range(9):
        step = np.zeros(9)
        step[v] = 1e-5 * lengths[0, v]
        ends = prior.log_density(lengths[0] + np.array([step, -step]), external[0])
        assert of_tree.slope[v] == pytest.approx((ends[0] - ends[1]) / (2 * step[v]), rel=1e-4)


@pytest.mark.parametrize(
    "prior",
    [ExponentialPrior(10), UniformPrior(0, 2), GammaPrior(2, 20), GammaDirichletPrior(1, 1, 2, 1)],
)
def test_kernels_are_compiled_once_for_all_priors(prior):
    assert typeof(prior.functions) == typeof(ExponentialPrior(10.0).functions)


def test_a_ratio_needs_to_know_which_branches_are_external(primates, make_reward, all_topologies):
    trees = all_topologies(5)
    lengths = np.random.default_rng(2).exponential(0.1, trees.shape)
    lengths[:, 0] = 0.0
    reward = make_reward(primates(5, 20), branch_prior="gammadir:1,1,1,2")
    with pytest.raises(ValueError, match="which branches are external"):
        reward.log_priors(lengths)
    found = reward.log_priors(lengths, trees)
    for tree, own, value in zip(trees, lengths, found, strict=True):
        external = [v < 5 or tree[v] == 0 for v in range(1, 8)]
        expected = plain_log_density(reward.branch_prior, own[1:], external) - math.log(15.0)
        assert value == pytest.approx(expected, rel=1e-10)
    same = make_reward(primates(5, 20), branch_prior="gammadir:1,1,0.4,1")
    np.testing.assert_allclose(same.log_priors(lengths), same.log_priors(lengths, trees))


@pytest.mark.parametrize("name", NAMES)
def test_moments_of_log_length(name):
    prior = parse_branch_prior(name)
    external = np.arange(9) < 6
    logs = np.log(prior_draws(prior, external, 100_000, np.random.default_rng(3))[:, 1:])
    mean, variance = prior.log_length_moments(6)
    assert mean == pytest.approx(logs.mean(), abs=0.02)
    assert variance == pytest.approx(logs.var(), rel=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_without_data_the_evidence_is_one_and_draws_are_those_of_the_prior(
    primates, make_reward, all_topologies, name
):
    reward = make_reward(primates(6, 1), branch_prior=name)
    reward.likelihood.data_arrays.weights[:] = 0.0
    tree = all_topologies(6)[40:41]
    external = external_branches(tree)[0, 1:]
    fit = reward.closed_form(tree)
    # the closed form is the gamma-Dirichlet distribution itself, up to where Newton steps end
    exact = name.startswith("gammadir")
    assert fit.log_evidence[0] == pytest.approx(0.0, abs=0.02 if exact else 0.15)
    draws = reward.draw_lengths(tree, fit, 20_000, seed=3)
    weights = np.exp(draws.log_weights[0])
    assert weights.mean() == pytest.approx(1.0, abs=0.02)
    assert weights.max() < 1.0 / 0.0149  # bounded by the share of the prior
    lengths = draws.lengths[0, :, 1:]
    expected = prior_draws(reward.branch_prior, external, 100_000, np.random.default_rng(4))[:, 1:]
    share = weights / weights.sum()
    for function in (lambda b: np.log(b), lambda b: np.log(b.sum(axis=1, keepdims=True))):
        values, others = function(lengths), function(expected)
        mean = share @ values
        error = np.sqrt((share**2) @ (values - mean) ** 2 + others.var(axis=0) / len(others))
        assert (np.abs(mean - others.mean(axis=0)) < 4.5 * error).all()


@pytest.mark.parametrize("name", [*NAMES, "gammadir:1,1,1,1"])
@pytest.mark.parametrize(("taxa", "sites"), [((0, 3, 6, 10), 20), ((0, 1, 2, 7, 11), 6)])
def test_evidence_is_that_of_draws_from_the_prior(
    primates, make_reward, all_topologies, name, taxa, sites
):
    reward = make_reward(primates(taxa, slice(40, 40 + sites)), branch_prior=name)
    tree = all_topologies(len(taxa))[1:2]
    external = external_branches(tree)[0, 1:]
    n = 60_000
    lengths = prior_draws(reward.branch_prior, external, n, np.random.default_rng(5))
    values = reward.log_likelihoods(np.tile(tree, (n, 1)), lengths)
    weights = np.exp(values - values.max())
    exact = values.max() + math.log(weights.mean())
    error = weights.std() / weights.mean() / math.sqrt(n)
    assert error < 0.15
    fit = reward.closed_form(tree)
    assert fit.log_evidence[0] == pytest.approx(exact, abs=0.25 + 3.0 * error)
    default = reward.draw_lengths(tree, fit, 10_000, seed=6).log_weights[0]
    ratio = np.exp(default - exact)
    own = ratio.std() / math.sqrt(ratio.size)
    assert own < 0.05  # default proposal
    assert ratio.mean() == pytest.approx(1.0, abs=4.0 * math.hypot(own, error))
    found = topology_evidence(tree[0], None, reward, 10_000, seed=7)  # fitted proposal
    assert found.standard_error < 0.06 and found.pareto_k < 0.9
    both = math.hypot(found.standard_error, error)
    assert found.log_evidence == pytest.approx(exact, abs=4.0 * both)


@pytest.mark.parametrize("name", NAMES)
def test_closed_form_is_at_the_mode(primates, make_reward, all_topologies, name):
    reward = make_reward(primates(6, 300), branch_prior=name)
    trees = all_topologies(6)[17:18]
    fit = reward.closed_form(trees)
    again = reward.closed_form(trees, np.full(trees.shape, 1.0))
    assert again.log_evidence[0] == pytest.approx(fit.log_evidence[0], abs=5e-3)

    def target(lengths):
        value = reward.log_likelihoods(trees, lengths) + reward.log_priors(lengths, trees)
        return float(value[0] + np.log(lengths[0, 1:]).sum())

    best = target(fit.lengths)
    for v in range(1, trees.shape[1]):
        for factor in (0.9, 1.1):
            moved = fit.lengths.copy()
            moved[0, v] *= factor
            assert target(moved) < best
    for factor in (0.97, 1.03):  # all together
        assert target(fit.lengths * factor) < best


@pytest.mark.parametrize("name", ["gammadir:1,0.1,1,1", "gammadir:2,4,0.6,2.5"])
def test_walks_find_the_same_evidence(primates, make_reward, all_topologies, name):
    reward = make_reward(primates(6, 200), branch_prior=name)
    every = all_topologies(6)
    table = TopologyTable(6)
    walkers = Walkers.start(reward, table, every[:N_REPLICAS], np.random.default_rng(1))
    walkers.block = 20
    blocks = walkers.run(1, parallel=False)
    kept = np.concatenate([block.parents for block in blocks])
    found = np.concatenate([block.log_evidence for block in blocks])
    assert len(found) > 20
    np.testing.assert_allclose(found, reward.closed_form(kept).log_evidence, atol=0.05)


@pytest.mark.parametrize("name", ["gammadir:1,0.1,1,1", "gammadir:2,4,0.6,2.5"])
def test_visits_of_a_walk_are_the_posterior(primates, make_reward, all_topologies, name):
    reward = make_reward(primates([0, 1, 2, 7, 11], 60), branch_prior=name)
    every = all_topologies(5)
    log_target = reward.closed_form(every).log_evidence
    target = np.exp(log_target - logsumexp(log_target))
    shares = visit_shares(run_walk(reward, every[8], 20_000), every)
    assert 0.5 * np.abs(shares - target).sum() < 0.05


def test_runs_agree_whether_lengths_are_integrated_or_drawn(tmp_path):
    name = "gammadir:1,0.1,0.8,0.5"
    alignment = write_fasta(tmp_path / "five.fasta", [0, 2, 5, 7, 11], 150)
    evidence = []
    for lengths in ("collapsed", "lognormal"):
        out = tmp_path / lengths
        run_small(alignment, out, environment="merging", branch_prior=name, branch_lengths=lengths)
        summary = json.loads((out / "summary.json").read_text())
        assert summary["branch_prior"] == name
        evidence.append((summary["log_evidence"], summary["log_evidence_se"]))
    (first, error), (second, other) = evidence
    assert first == pytest.approx(second, abs=5.0 * math.hypot(error, other))
