"""Parameters and branch lengths integrated out, against draws from the prior."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp

from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.patterns import compress
from phylogfn.estimates.joint_draws import JointDraws
from phylogfn.estimates.lengths import drawing, pilots
from phylogfn.estimates.lengths.drawing import draw_branch_lengths
from phylogfn.estimates.lengths.masses import TopologyMasses
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.likelihood.model_fit import fit_model
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.trees.tree import Tree

N_PRIOR = 5000
SHORT = ">t0\nACGTT\n>t1\nACGTA\n>t2\nAGGTA\n>t3\nAGGTC\n"


def prior_draws(spec, rng):
    """Natural values of HKY85+G4 drawn from the default priors, as free parameters theta."""
    share = rng.beta(1.0, 1.0)
    values = {
        "kappa": np.array([share / (1.0 - share)]),
        "frequencies": rng.dirichlet(np.ones(4)),
        "gamma_shape": np.array([rng.exponential(1.0)]),
    }
    return np.concatenate([p.to_unconstrained(values[p.name]) for p in spec.parameters])


@pytest.mark.parametrize(
    ("model", "method"), [("HKY85+G4", "joint"), ("HKY85+G4", "annealed"), ("JC69", "joint")]
)
def test_evidence_of_all_topologies_is_that_of_draws_from_the_prior(
    primates, make_reward, all_topologies, monkeypatch, model, method
):
    # choose the method whatever the pilot draws say
    threshold = -math.inf if method == "annealed" else math.inf
    for module in (drawing, pilots):
        monkeypatch.setattr(module, "PARETO_K_LIMIT", threshold)
        monkeypatch.setattr(module, "HEAVY_TAIL", threshold)
    monkeypatch.setattr(pilots, "VERY_POOR_SHARE", 0.0)
    monkeypatch.setattr(pilots.Pilot, "better", lambda self, other: other or self)
    alignment = primates([0, 2, 7, 11], 10)
    patterns = compress(alignment)
    spec = parse_model(model, "dna")
    reward = make_reward(alignment, model=model)
    table, every = TopologyTable(4), all_topologies(4)
    table.look_up(reward, every)
    rng = np.random.default_rng(1)
    log_likelihoods = np.empty(N_PRIOR)
    thetas = []
    for i in range(N_PRIOR):
        theta = prior_draws(spec, rng) if spec.n_free else np.zeros(0)
        lengths = np.append(0.0, rng.exponential(0.1, 5))
        like = reward.likelihood.with_model(spec.build(theta))
        tree = Tree.from_parents(every[i % 3].astype(np.int32), lengths)
        log_likelihoods[i] = like.log_likelihood(tree)
        thetas.append(theta)
    top = log_likelihoods.max()
    weights = np.exp(log_likelihoods - top)
    expected = top + math.log(weights.mean())
    error = weights.std() / weights.mean() / math.sqrt(N_PRIOR)

    log_r = table.log_evidence
    masses = TopologyMasses(np.arange(3), np.exp(log_r - logsumexp(log_r)))
    made = []

    def joint(rows):
        theta, own = np.zeros(0), reward
        if spec.n_free:
            best = Tree.from_parents(table.parents[rows[0]].astype(np.int32), None)
            found = fit_model(
                spec, patterns, best, branch_prior=reward.branch_prior, with_prior=True
            )
            own = make_reward(alignment, model=model)
            own.likelihood = TreeLikelihood(patterns, found.model)
            theta = found.theta
        made.append(JointDraws(spec, own, theta, table))
        return made[-1]

    found = draw_branch_lengths(
        masses, table, reward, 2000, np.random.default_rng(2), 0.1, seconds=12.0,
        joint=joint, n_parameters=spec.n_free,
    )  # fmt: skip
    log_z = float(np.asarray(logsumexp(log_r))) - math.log(3) + found.log_correction
    assert found.standard_error < 0.1
    if spec.n_free:
        assert found.method == method
        assert (found.rungs > 1) == (method == "annealed")
    assert abs(log_z - expected) < 4.0 * math.hypot(error, found.standard_error)
    assert found.thetas.shape == (2000, spec.n_free)
    if spec.n_free:
        assert made and made[0].target.n_invalid == 0
        prior = np.array([spec.split(theta)["gamma_shape"][0] for theta in thetas])
        mean = float((weights * prior).sum() / weights.sum())
        drawn = np.array([spec.split(theta)["gamma_shape"][0] for theta in found.thetas])
        spread = math.sqrt((weights**2 * (prior - mean) ** 2).sum()) / weights.sum()
        assert abs(drawn.mean() - mean) < 4.0 * math.hypot(spread, drawn.std() / math.sqrt(500))


def test_results_are_not_chosen_by_their_weights(
    primates, make_reward, all_topologies, monkeypatch
):
    """After joint draws with a heavy tail the annealed ones count, also if theirs is heavier."""
    spec = parse_model("K80", "dna")
    alignment = primates([0, 2, 7, 11], 10)
    reward = make_reward(alignment, model="K80")
    table = TopologyTable(4)
    table.look_up(reward, all_topologies(4))
    tails = iter([5.0, 9.0, 9.0])
    answer = drawing.corrected

    def heavy(*arguments):
        return replace(answer(*arguments), pareto_k=next(tails))

    monkeypatch.setattr(drawing, "corrected", heavy)
    found = draw_branch_lengths(
        TopologyMasses(np.arange(3), np.full(3, 1 / 3)), table, reward, 100,
        np.random.default_rng(2), 0.1, seconds=20.0, n_parameters=1,
        joint=lambda rows: JointDraws(spec, reward, spec.start(compress(alignment)), table),
        fewest_draws=640, most_draws=6400,
    )  # fmt: skip
    assert found.method == "annealed" and found.pareto_k == 9.0


def test_free_parameters_need_joint_draws(primates, make_reward, all_topologies):
    reward = make_reward(primates([0, 2, 7, 11], 10), model="K80")
    table = TopologyTable(4)
    table.look_up(reward, all_topologies(4))
    masses = TopologyMasses(np.arange(3), np.full(3, 1 / 3))
    with pytest.raises(ValueError, match="joint draws"):
        draw_branch_lengths(
            masses, table, reward, 10, np.random.default_rng(1), 0.1, n_parameters=1
        )


@pytest.mark.parametrize(
    ("model", "priors"),
    [("JC69", {}), ("K80+G4", {"gamma_shape": "uniform:0.1,3", "kappa": "uniform:0.2,9"})],
)
def test_bounded_priors_and_hardly_any_data(tmp_path, make_reward, all_topologies, model, priors):
    (tmp_path / "short.fasta").write_text(SHORT)
    alignment = read_alignment(str(tmp_path / "short.fasta"))
    patterns = compress(alignment)
    spec = parse_model(model, "dna").with_priors(priors)
    reward = make_reward(alignment, model=model, branch_prior="uniform:0,10")
    table = TopologyTable(4)
    table.look_up(reward, all_topologies(4))
    rng = np.random.default_rng(1)
    for row in range(3):
        tree = Tree.from_parents(table.parents[row].astype(np.int32), table.lengths[row])
        fit = fit_model(spec, patterns, tree, branch_prior=reward.branch_prior, with_prior=True)
        own = make_reward(alignment, model=model, branch_prior="uniform:0,10")
        own.likelihood = TreeLikelihood(patterns, fit.model)
        source = JointDraws(spec, own, fit.theta, table)
        rows = np.array([row])
        source.anchor(rows)
        source.fit(rows, rng)
        log_w = source.draw(rows, 6000, rng).log_weights[0]
        # draws from the prior
        y = np.log(rng.uniform(0.0, 10.0, (60_000, 5)))
        natural = [rng.uniform(*p.prior.arguments, 60_000) for p in spec.parameters]
        phi = np.log(np.array(natural).reshape(-1, 60_000).T)
        log_v = source.target.log_densities(tree, np.hstack([phi, y]))[0]
        means, errors = [], []
        for weights in (np.exp(log_w), np.exp(log_v)):
            means.append(math.log(weights.mean()))
            errors.append(weights.std() / weights.mean() / math.sqrt(len(weights)))
        assert errors[0] < 0.05
        assert abs(means[0] - means[1]) < 4.0 * math.hypot(*errors)
