"""Posteriors made up for tests of what reads and writes them: test directories are not packages."""

from __future__ import annotations

import numpy as np
import pytest

PRIMATES = (
    "Tarsius_syrichta",
    "Lemur_catta",
    "Homo_sapiens",
    "Pan",
    "Gorilla",
    "Pongo",
    "Hylobates",
    "Macaca_fuscata",
)


@pytest.fixture
def make_posterior():
    """Return a function that makes a posterior on a few topologies, each with its own lengths."""
    from phylogfn.results.posterior import Posterior
    from phylogfn.trees.tree import random_topology

    def make(names=PRIMATES, n_draws=40, n_topologies=4, seed=1, **changes):
        rng = np.random.default_rng(seed)
        n = len(names)
        parents = np.array(
            [random_topology(n, rng).parent for _ in range(n_topologies)], np.int32
        ).reshape(n_topologies, 2 * n - 2)
        probabilities = np.sort(rng.dirichlet(np.ones(n_topologies)))[::-1]
        picks = rng.choice(n_topologies, n_draws, p=probabilities)
        lengths = rng.gamma(2.0, 0.05, (n_draws, 2 * n - 2))
        lengths[:, 0] = 0.0
        values = {
            "names": tuple(names),
            "draw_parents": parents[picks],
            "draw_lengths": lengths,
            "draw_log_likelihoods": rng.normal(-6400.0, 3.0, n_draws),
            "draw_log_priors": rng.normal(20.0, 1.0, n_draws),
            "topology_parents": parents,
            "topology_probabilities": probabilities,
            "topology_log_evidences": -6489.0 + np.log(probabilities),
            "log_evidence": -6489.0,
            "log_evidence_se": 0.02,
            "ess": 800.0,
            "n_proposals": 2000,
            "pareto_k": 0.3,
        }
        return Posterior(**{**values, **changes})

    return make


@pytest.fixture
def run_facts():
    """Return facts of a run that never was."""
    from gfncore.program.provenance import ResourceUse
    from phylogfn.citations import ALWAYS_CITED
    from phylogfn.results.facts import RunFacts

    return RunFacts(
        command="phylogfn sample primates.fasta -o out",
        seed=1,
        alignment="primates.fasta",
        n_sites=898,
        n_patterns=413,
        model="JC69",
        branch_prior="exp:10",
        likelihood_evaluations=12345,
        use=ResourceUse(61.0, 118.0, 300 * 2**20),
        methods=ALWAYS_CITED,
        budget_seconds=300.0,
    )


@pytest.fixture
def mixed_matrix():
    """Text (NEXUS) of five taxa, six morphological characters and sixteen nucleotides."""
    return """#NEXUS
begin data;
dimensions ntax=5 nchar=22;
format datatype=mixed(standard:1-6,dna:7-22) missing=? gap=-;
matrix
A 000102ACGTACGTACGTACGT
B 001102ACGTACGAACGTACGA
C 110010ACCTACGAACGTTCGA
D 11002?ACCTACGAACTTTCGC
E 101121ACCTACTAACTTTCGC
;
end;
"""
