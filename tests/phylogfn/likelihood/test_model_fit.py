"""Maximum-likelihood parameters and lengths, against IQ-TREE and against other starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.patterns import SitePatterns, compress
from phylogfn.likelihood.branch_prior import ExponentialPrior
from phylogfn.likelihood.model_fit import bounds_note, fit_model, parameters_at_bounds
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.trees.files import read_trees
from phylogfn.trees.tree import Tree, postorder, random_topology

PRIMATES = Path(__file__).parents[3] / "data" / "primates.fasta"
# Best tree of `iqtree2 -s primates.fasta -m HKY+FO+G4 -nt 1 -seed 1` (IQ-TREE 2.0.7).
NEWICK = (
    "(Tarsius_syrichta,Lemur_catta,((((((Homo_sapiens,Pan),Gorilla),Pongo),Hylobates),"
    "(((Macaca_fuscata,M_mulatta),M_fascicularis),M_sylvanus)),Saimiri_sciureus));"
)


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    path = tmp_path_factory.mktemp("trees") / "best.nwk"
    path.write_text(NEWICK + "\n")
    alignment = read_alignment(PRIMATES)
    return compress(alignment), read_trees(path, alignment.names).trees[0]


def value(patterns, tree, fit):
    fitted = Tree(tree.parent, tree.children, fit.lengths)
    return TreeLikelihood(patterns, fit.model).log_likelihood(fitted)


# `iqtree2 -s primates.fasta -te best.nwk -m MODEL -nt 1 -seed 1`: log-likelihood and parameters.
# IQ-TREE stops within 0.01 of the maximum.
IQTREE = [
    ("JC69", -6424.2025, {}),
    ("HKY85", -5981.7202, {"kappa": 4.986}),
    ("HKY85+F+G4", -5728.0664, {"alpha": 0.4013}),
    ("HKY85+G4", -5711.9433, {"pi(A)": 0.3636, "pi(G)": 0.0816, "alpha": 0.3646}),
]


@pytest.mark.parametrize(("name", "expected", "parameters"), IQTREE)
def test_maximum_is_that_of_iqtree(problem, name, expected, parameters):
    patterns, tree = problem
    spec = parse_model(name, "dna")
    fit = fit_model(spec, patterns, tree)
    assert expected - 2e-4 < value(patterns, tree, fit) < expected + 0.02
    described = spec.describe(fit.theta)
    for label, figure in parameters.items():
        assert described[label] == pytest.approx(figure, rel=0.01)


# of the same command: IQ-TREE ends up to 0.3 below the maximum of free rates
FREE_RATES = [("JC69+R2", -6265.8321, -6265.82), ("TN93+R3", -5707.3328, -5707.0)]


@pytest.mark.parametrize(("name", "iqtree", "most"), FREE_RATES)
def test_free_rates_reach_the_maximum_of_iqtree(problem, name, iqtree, most):
    patterns, tree = problem
    spec = parse_model(name, "dna")
    fit = fit_model(spec, patterns, tree)
    assert iqtree < value(patterns, tree, fit) < most
    described = spec.describe(fit.theta)
    rates = [rate for label, rate in described.items() if label.startswith("rate")]
    assert rates == sorted(rates) and parameters_at_bounds(spec, fit.theta) == {}
    theta = fit.theta.copy()
    theta[-len(rates) + 1 :] = [0.0, *[-12.0] * (len(rates) - 2)]
    if len(rates) > 2:  # two rates are nearly equal
        assert list(parameters_at_bounds(spec, theta)) == ["rate(2)"]


def test_gradient_vanishes_and_starts_agree(problem):
    patterns, tree = problem
    spec = parse_model("HKY85+G4", "dna")
    fit = fit_model(spec, patterns, tree)
    rng = np.random.default_rng(4)
    rough = Tree(tree.parent, tree.children, rng.exponential(0.1, tree.parent.size))
    start = spec.start() + rng.normal(0, 0.5, spec.n_free)
    other = fit_model(spec, patterns, rough, theta=start)
    assert value(patterns, tree, other) == pytest.approx(value(patterns, tree, fit), abs=1e-3)
    likelihood = TreeLikelihood(patterns, fit.model)
    _, first, _ = likelihood.derivatives(Tree(tree.parent, tree.children, fit.lengths))
    assert np.abs(first * fit.lengths).max() < 0.02
    best = value(patterns, tree, fit)
    for i in range(spec.n_free):
        for step in (-0.02, 0.02):
            theta = fit.theta.copy()
            theta[i] += step
            moved = TreeLikelihood(patterns, spec.build(theta))
            assert moved.log_likelihood(Tree(tree.parent, tree.children, fit.lengths)) < best


def test_priors_move_the_mode(problem):
    patterns, tree = problem
    spec = parse_model("K80+G4", "dna").with_priors({"gamma_shape": "exp:1000"})
    free = fit_model(spec, patterns, tree)
    held = fit_model(spec, patterns, tree, branch_prior=ExponentialPrior(200.0), with_prior=True)
    assert held.lengths.sum() < free.lengths.sum()
    assert spec.describe(held.theta)["alpha"] < spec.describe(free.theta)["alpha"]
    assert held.lengths[0] == 0.0


def simulated(n_taxa, n_sites, alpha, invariant, seed):
    """Patterns of Jukes-Cantor sites with gamma rates and invariant sites, on a random tree."""
    rng = np.random.default_rng(seed)
    tree = random_topology(n_taxa, rng)
    lengths = rng.exponential(0.3, 2 * n_taxa - 2)
    rates = rng.gamma(alpha, 1 / alpha, n_sites) / (1 - invariant)
    rates[rng.random(n_sites) < invariant] = 0.0
    states = np.zeros((2 * n_taxa - 2, n_sites), int)
    states[0] = rng.integers(4, size=n_sites)
    for node in postorder(tree)[::-1][1:]:  # from the root, leaf 0, upwards
        changed = rng.random(n_sites) < 0.75 * (1 - np.exp(-4 / 3 * lengths[node] * rates))
        moved = (states[tree.parent[node]] + rng.integers(1, 4, size=n_sites)) % 4
        states[node] = np.where(changed, moved, states[tree.parent[node]])
    masks, index, counts = np.unique(
        2 ** states[:n_taxa], axis=1, return_inverse=True, return_counts=True
    )
    index = np.asarray(index, np.int32).ravel()
    return tree, SitePatterns(masks.astype(np.uint32), counts.astype(float), index, 4)


# Log-likelihood of `iqtree2 -s FILE -te TREE -m JC+I+G4 -nt 1 -seed 1` (IQ-TREE 2.0.7) of the data
# and tree, and how far below its maximum one start of the parameters ends at least.
LOCAL_MAXIMA = [(35, -485.0117, 3.0), (22, -488.2259, 2.0), (14, -483.7541, 1.0)]


@pytest.mark.parametrize(("seed", "iqtree", "below"), LOCAL_MAXIMA)
def test_several_starts_where_gamma_and_invariant_sites_have_several_maxima(seed, iqtree, below):
    _, patterns = simulated(5, 250, 0.02, 0.0, seed)
    tree = random_topology(5, np.random.default_rng(seed + 1000))
    spec = parse_model("JC69+G4+I", "dna").resolve(patterns)
    one = fit_model(spec, patterns, tree, theta=spec.start(patterns))
    several = fit_model(spec, patterns, tree)
    assert value(patterns, tree, one) < value(patterns, tree, several) - below
    assert value(patterns, tree, several) > iqtree - 0.01


def test_parameters_at_their_bounds_are_named(problem):
    patterns, tree = problem
    spec = parse_model("HKY85+G4+I", "dna")  # the primates have no invariant sites beside gamma
    ended = parameters_at_bounds(spec, fit_model(spec, patterns, tree).theta)
    assert list(ended) == ["pinvar"] and ended["pinvar"] < 1e-4
    assert "pinvar = 2.26e-06" in bounds_note(spec, np.append(spec.start()[:-1], -13.0))
    assert bounds_note(spec, spec.start()) is None
    gtr = parse_model("GTR", "dna")
    theta = gtr.start()
    theta[:5] = 9.0  # all are large beside the last
    assert list(parameters_at_bounds(gtr, theta)) == ["r(G<->T)"]
    shape = parse_model("JC69+G4", "dna")
    assert list(parameters_at_bounds(shape, np.array([5.2]))) == ["alpha"]
    assert list(parameters_at_bounds(shape, np.array([-3.9]))) == ["alpha"]


def test_the_best_so_far_is_returned_when_the_time_is_up(problem):
    patterns, tree = problem
    spec = parse_model("HKY85+G4", "dna")
    values = []
    for allowed in (0, 12, 40):
        asked = []

        def until(asked=asked, allowed=allowed):
            asked.append(True)
            return len(asked) > allowed

        fit = fit_model(spec, patterns, tree, until=until)
        values.append(value(patterns, tree, fit))
        assert np.isfinite(fit.theta).all() and len(asked) < 2 * allowed + 20
    assert values == sorted(values) and values[0] < values[2] < -5711.9
