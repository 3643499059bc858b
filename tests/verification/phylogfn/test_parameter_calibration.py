"""Parameters and lengths of one topology: ranks of true values drawn from the prior are uniform.

Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788) of the joint draws alone, without
a search: alignments are simulated by parameters and lengths from their priors.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kstest, norm

from benchmarks.phylogfn.calibration import draw_theta
from phylogfn.alignments.patterns import compress
from phylogfn.estimates.joint_draws import JointDraws
from phylogfn.estimates.lengths.drawing import draw_branch_lengths
from phylogfn.estimates.lengths.masses import TopologyMasses
from phylogfn.exploration.topologies import TopologyTable
from phylogfn.likelihood.branch_prior import parse_branch_prior
from phylogfn.likelihood.collapsed import CollapsedReward
from phylogfn.likelihood.model_fit import fit_model
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.sequences.simulation import simulate_states
from phylogfn.trees.tree import Tree, random_topology

pytestmark = [pytest.mark.verification, pytest.mark.long]

N_TAXA, N_SITES, N_DRAWS = 5, 250, 200


def alignment_of(states, tmp_path):
    from phylogfn.alignments.alignment import read_alignment

    path = tmp_path / "x.fasta"
    rows = ("".join("ACGT"[state] for state in row) for row in states)
    path.write_text("".join(f">t{i}\n{row}\n" for i, row in enumerate(rows)))
    return read_alignment(str(path))


def integrated(spec, patterns, topology, seed):
    """Draws of one topology, and its log evidence with its error."""
    prior = parse_branch_prior("exp:10")
    fit = fit_model(
        spec,
        patterns,
        Tree(topology.parent, topology.children),
        branch_prior=prior,
        with_prior=True,
    )
    reward = CollapsedReward(TreeLikelihood(patterns, fit.model), prior, 1)
    table = TopologyTable(N_TAXA)
    table.look_up(reward, topology.parent[None].astype(np.int16))
    found = draw_branch_lengths(
        TopologyMasses(np.zeros(1, np.int64), np.ones(1)),
        table,
        reward,
        N_DRAWS,
        np.random.default_rng(seed),
        0.1,
        joint=lambda rows: JointDraws(spec, reward, fit.theta, table),
        n_parameters=spec.n_free,
        fewest_draws=6400,
        most_draws=6400,
    )
    reward.pool.shutdown()
    return found, float(table.log_evidence[0]) + found.log_correction


@pytest.mark.parametrize("model", ["SYM+G4", "GTR+I+G4"])
def test_ranks_are_uniform_and_errors_normal(model, tmp_path):
    ranks: dict[str, list[float]] = {}
    z = []
    spec = parse_model(model, "dna")
    for number in range(80):
        rng = np.random.default_rng([7, number])
        theta = draw_theta(spec, rng)
        topology = random_topology(N_TAXA, rng)
        lengths = np.append(0.0, rng.exponential(0.1, 2 * N_TAXA - 3))
        tree = Tree(topology.parent, topology.children, lengths)
        states = simulate_states(tree, spec.build(theta), N_SITES, rng)
        patterns = compress(alignment_of(states, tmp_path))
        first, log_first = integrated(spec, patterns, topology, [number, 1])
        second, log_second = integrated(spec, patterns, topology, [number, 2])
        error = math.hypot(first.standard_error, second.standard_error)
        z.append((log_first - log_second) / error)
        truth = {"TL": lengths.sum()} | spec.describe(theta)
        drawn = [spec.describe(own) for own in first.thetas]
        for name, value in truth.items():
            own = (
                first.lengths[:, 1:].sum(axis=1)
                if name == "TL"
                else np.array([values[name] for values in drawn])
            )
            ranks.setdefault(name, []).append(float((own < value).mean()))
    p_values = {name: kstest(own, "uniform").pvalue for name, own in ranks.items()}
    assert min(p_values.values()) > 0.01 / len(p_values), p_values
    covered = np.mean([[0.025 < r < 0.975 for r in own] for own in ranks.values()])
    assert 0.91 < covered < 0.985
    assert np.std(z) < 1.5 and norm.sf(np.abs(z).max()) * 2 * len(z) > 1e-4
