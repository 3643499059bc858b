"""Short divergent alignments, whose branch lengths have heavy tails, against brute force.

The truth is computed here by a plain pruning recursion in NumPy for all draws at once, and by
importance draws from a mixture of exponential densities on each branch: no mode, no gamma, no
code of the package but the enumeration of topologies in the fixtures.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import gamma

from phylogfn.estimates.lengths.drawing import draw_branch_lengths
from phylogfn.estimates.lengths.masses import TopologyMasses
from phylogfn.exploration.topologies import TopologyTable

pytestmark = pytest.mark.verification

N_PILOT, N_DRAWS, PART = 20_000, 100_000, 5000  # a topology, of the truth
SEEDS = range(4)


def simulated(n_taxa, n_sites, mean_length, seed):
    """Sequences (n, sites) of numbers under JC69 on a random tree with long branches."""
    rng = np.random.default_rng(seed)
    lineages = [rng.integers(4, size=n_sites)]
    while len(lineages) < n_taxa:
        chosen = lineages.pop(int(rng.integers(len(lineages))))
        for _ in range(2):
            keep = rng.random(n_sites) < math.exp(-4.0 / 3.0 * rng.exponential(mean_length))
            lineages.append(np.where(keep, chosen, rng.integers(4, size=n_sites)))
    return np.array(lineages)


def plain_log_likelihoods(sequences, parent, lengths, kappa, frequencies, alpha):
    """Log-likelihoods (draws,) by pruning; HKY85 by its matrix exponential, +G4 if ``alpha``."""
    pi = np.asarray(frequencies)
    q = np.array([[pi[j] * (kappa if {i, j} in ({0, 2}, {1, 3}) else 1.0) for j in range(4)]
                  for i in range(4)])  # fmt: skip
    q -= np.diag(q.sum(axis=1))
    q /= -(pi @ np.diag(q))
    values, right = np.linalg.eig(q)
    left = np.linalg.inv(right)
    rates = [1.0]
    if alpha is not None:
        ends = gamma.ppf(np.arange(5) / 4, alpha, scale=1 / alpha)
        rates = 4 * np.diff(gamma.cdf(ends, alpha + 1, scale=1 / alpha))
    n = len(sequences)
    per_rate = []
    for rate in rates:
        total = np.ones((len(lengths), 4, sequences.shape[1]))
        partials = {}
        for leaf in range(1, n):
            partials[leaf] = np.eye(4)[sequences[leaf]].T[None]

        def down(node, partials=partials, rate=rate):
            if node not in partials:
                below = np.flatnonzero(parent == node)
                partials[node] = np.prod([up(int(v)) for v in below], axis=0)
            return partials[node]

        def up(node, rate=rate):
            e = np.exp(values[None] * rate * lengths[:, node, None])
            matrix = np.einsum("ij,bj,jk->bik", right, e, left).real
            return matrix @ down(node)

        top = int(np.flatnonzero(parent == 0)[0])
        total = up(top)
        first = np.eye(4)[sequences[0]].T[None]
        per_rate.append(np.einsum("i,bis,bis->bs", pi, total, np.broadcast_to(first, total.shape)))
    return np.log(np.mean(per_rate, axis=0)).sum(axis=1)


def brute_force(sequences, topologies, rate, model, seed):
    """Log evidence over all topologies, with its standard error.

    Each branch is drawn from a mixture of exponential densities, whose shares two rounds of pilot
    draws adapt.
    """
    rng = np.random.default_rng(seed)
    scales = np.array([1.0 / rate, 0.02, 0.1, 0.3, 1.0])
    terms, errors = [], []
    for parent in topologies:
        n_branches = len(parent) - 1
        shares = np.full((n_branches, len(scales)), 1.0 / len(scales))

        def draw(n, shares=shares, parent=parent):
            kinds = np.stack([rng.choice(len(scales), n, p=row) for row in shares], axis=1)
            b = rng.exponential(scales[kinds])
            each = np.log(shares) - b[..., None] / scales - np.log(scales)
            log_q = logsumexp(each, axis=2)
            lengths = np.concatenate([np.zeros((n, 1)), b], axis=1)
            value = plain_log_likelihoods(sequences, parent, lengths, *model)
            log_w = value + (math.log(rate) - rate * b - log_q).sum(axis=1)
            return log_w, np.exp(each - log_q[..., None])

        for _ in range(2):
            parts = [draw(PART) for _ in range(N_PILOT // PART)]
            log_w = np.concatenate([part for part, _ in parts])
            responsible = np.concatenate([part for _, part in parts])
            w = np.exp(log_w - log_w.max())
            w = np.minimum(w, w.mean() * math.sqrt(len(w)))
            shares[:] = np.maximum(np.einsum("b,bvk->vk", w / w.sum(), responsible), 0.03)
            shares /= shares.sum(axis=1, keepdims=True)
        log_w = np.concatenate([draw(PART)[0] for _ in range(N_DRAWS // PART)])
        w = np.exp(log_w - log_w.max())
        terms.append(log_w.max() + math.log(w.mean()))
        errors.append(w.std() / w.mean() / math.sqrt(len(w)))
    share = np.exp(np.array(terms) - logsumexp(terms))
    error = math.sqrt(((share * errors) ** 2).sum())
    return float(logsumexp(terms)) - math.log(len(topologies)), error


JC69 = (1.0, (0.25,) * 4, None)
HKY = (2.0, (0.3, 0.2, 0.2, 0.3), 0.5)


@pytest.mark.parametrize(
    ("n_taxa", "n_sites", "mean_length", "rate", "model"),
    [
        (4, 20, 0.5, 0.1, "JC69"),
        pytest.param(
            4, 40, 0.5, 1.0, "HKY85{2}+F{0.3,0.2,0.2,0.3}+G4{0.5}", marks=pytest.mark.long
        ),
        (4, 40, 0.1, 100.0, "JC69"),
        pytest.param(5, 20, 0.5, 1.0, "JC69", marks=pytest.mark.long),
        pytest.param(
            5, 25, 0.7, 0.1, "HKY85{2}+F{0.3,0.2,0.2,0.3}+G4{0.5}", marks=pytest.mark.long
        ),
    ],
)
def test_evidence_is_within_its_stated_error_of_brute_force(
    tmp_path, make_reward, all_topologies, n_taxa, n_sites, mean_length, rate, model
):
    from phylogfn.alignments.alignment import read_alignment

    sequences = simulated(n_taxa, n_sites, mean_length, seed=n_taxa + n_sites)
    path = tmp_path / "x.fasta"
    path.write_text(
        "".join(f">t{i}\n{''.join('ACGT'[k] for k in row)}\n" for i, row in enumerate(sequences))
    )
    every = all_topologies(n_taxa)
    plain = JC69 if model == "JC69" else HKY
    truth, truth_error = brute_force(sequences, every, rate, plain, seed=1)
    assert truth_error < 0.03

    reward = make_reward(read_alignment(str(path)), model, f"exp:{rate}")
    table = TopologyTable(n_taxa)
    table.look_up(reward, every)
    log_r = table.log_evidence
    masses = TopologyMasses(np.arange(len(table)), np.exp(log_r - logsumexp(log_r)))
    z = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        found = draw_branch_lengths(masses, table, reward, 10, rng, 0.02)
        assert found.pareto_k < 0.7
        value = logsumexp(log_r) + reward.log_topology_prior + found.log_correction
        z.append((value - truth) / math.hypot(found.standard_error, truth_error))
    assert math.sqrt(np.mean(np.square(z))) < 2.0, z


def test_plain_likelihood_sums_to_one_over_all_columns():
    parent = np.array([-1, 4, 4, 5, 5, 0])
    columns = np.array(list(itertools.product(range(4), repeat=4))).T
    lengths = np.array([[0.0, 0.3, 0.1, 0.9, 0.2, 0.4]])
    for model in (JC69, HKY):
        per_column = [
            math.exp(plain_log_likelihoods(columns[:, [i]], parent, lengths, *model)[0])
            for i in range(columns.shape[1])
        ]
        assert sum(per_column) == pytest.approx(1.0, abs=1e-10)
