"""A browser, and reports of runs that never were: none takes more than moments to make."""

from __future__ import annotations

import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

GENERA = ("Tarsius", "Hylobates", "Microcebus", "Pan", "Symphalangus", "Callithrix")
MOLECULES = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "O=S(=O)(Nc1ccccc1)c1ccc(Br)cc1",
    "Clc1ccc(C(F)(F)F)cc1I",
    "CP(=O)(O)OCC[N+](C)(C)C",
    "CN1C=NC2=C1C(=O)N(C)C(=O)N2C",
    "CC(C)Cc1ccc(C(C)C(=O)O)cc1",
)


@pytest.fixture(scope="session")
def browser():
    """Return Chromium without a window, driven by Playwright; skip where either is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, names) if path), None)
    with playwright.sync_playwright() as driver:
        own = driver.chromium.executable_path
        if found is None and not os.path.exists(own):
            pytest.skip(
                "no Chromium: install the package chromium, or run `playwright install chromium`"
            )
        # its sandbox does not start for root, as in containers; the pages are our own
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = driver.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def training(tmp_path_factory):
    """Return a `train.jsonl` with a figure that failed amid others."""
    path = tmp_path_factory.mktemp("run") / "train.jsonl"
    rows = []
    for i in range(1, 200):
        rows.append({"step": i, "seconds": 2.5 * i, "loss": 3 / i, "learning_rate": 1e-3})
        if i % 20 == 0:
            failed = i == 100
            rows.append(
                {
                    "step": i,
                    "seconds": 2.5 * i,
                    "log_evidence": None if failed else -6490 + i / 9,
                    "log_evidence_se": 2 / i,
                    "log_partition": None if failed else 12 + i / 99,
                    "best_score": 0.5 + i / 500,
                    "n_modes": i,
                    "ess": 9.0 * i,
                }
            )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def neighbours(parent, number, rng):
    """Return trees that differ from one by a few exchanges of a taxon with its aunt."""
    n = (len(parent) + 2) // 2
    trees = [parent]
    for _ in range(number - 1):
        tree = parent.copy()
        for taxon in rng.permutation(np.arange(1, n))[: n // 4]:
            above = tree[tree[taxon]]
            aunts = [leaf for leaf in range(1, n) if tree[leaf] == above and leaf != taxon]
            if above >= 0 and aunts and rng.random() < 0.35:
                tree[aunts[0]], tree[taxon] = tree[taxon], above
        trees.append(tree)
    return np.array(trees, np.int32)


@pytest.fixture(scope="session")
def posterior_report(training):
    """Return a function of the number of taxa and of warnings: the report of a posterior."""
    from gfncore.program.messages import Note
    from gfncore.program.provenance import ResourceUse
    from phylogfn.citations import ALWAYS_CITED
    from phylogfn.results.facts import RunFacts
    from phylogfn.results.posterior import Posterior
    from phylogfn.results.posterior_files import summarise
    from phylogfn.results.report.posterior_page import render_report
    from phylogfn.trees.tree import random_topology

    def make(n_taxa, warnings=()):
        rng = np.random.default_rng(n_taxa)
        topologies = neighbours(random_topology(n_taxa, rng).parent, 12, rng)
        probabilities = np.sort(rng.dirichlet(np.ones(12)))[::-1]
        picks = rng.choice(12, 100, p=probabilities)
        lengths = rng.exponential(0.05, (100, 2 * n_taxa - 2))
        names = [f"{GENERA[i % 6]}_species_{i + 1}" for i in range(n_taxa)]
        names[1] = "An_unusually_long_name_of_a_subspecies_with_its_place_of_collection"
        posterior = Posterior(
            names=tuple(names),
            draw_parents=topologies[picks],
            draw_lengths=lengths,
            draw_log_likelihoods=rng.normal(-6400.0, 3.0, 100),
            draw_log_priors=rng.normal(20.0, 1.0, 100),
            topology_parents=topologies,
            topology_probabilities=probabilities,
            topology_log_evidences=-6489.0 + np.log(probabilities),
            log_evidence=-6489.0,
            log_evidence_se=0.02,
            ess=800.0,
            n_proposals=2000,
            pareto_k=0.95 if warnings else 0.3,
            warnings=tuple(Note("low-ess", warning) for warning in warnings),
        )
        facts = RunFacts(
            command="phylogfn sample some/where/primates.fasta --model HKY85+G4 -o out",
            seed=1,
            alignment="some/where/primates.fasta",
            n_sites=898,
            n_patterns=413,
            model="HKY85+G4",
            branch_prior="exp:10",
            likelihood_evaluations=12345,
            use=ResourceUse(61.0, 118.0, 300 * 2**20),
            methods=ALWAYS_CITED,
            budget_seconds=300.0,
        )
        return render_report(posterior, summarise(posterior, facts), facts, training=training)

    return make


@pytest.fixture(scope="session")
def library_report(training):
    """Return a function of nothing: the report of a library with two objectives."""
    from gfncore.program.provenance import ResourceUse
    from molgen.citations import ALWAYS_CITED
    from molgen.molecules.diversity import find_modes
    from molgen.results.columns import LibraryColumns
    from molgen.results.facts import RunFacts, TrainingFacts
    from molgen.results.files import summarise
    from molgen.results.report.page import render_report

    def make():
        rng = np.random.default_rng(1)
        reward = np.sort(rng.uniform(0.5, 1.0, len(MOLECULES)))[::-1]
        scores = SimpleNamespace(
            total=reward,
            components={"qed": reward, "synthetic_accessibility_of_it": 5 * reward},
            objectives=rng.random((len(reward), 2)),
        )
        library = LibraryColumns.build(
            list(MOLECULES),
            scores,
            log_probability=np.log(reward) - 3.0,
            objective_names=("qed", "synthetic_accessibility_of_it"),
        )
        facts = RunFacts(
            command="molgen sample -o out --config a/rather/long/path/to/my-scoring-file.toml",
            seed=1,
            score="qed \u00d7 synthetic_accessibility_of_it",
            environment="fragments",
            symmetry="merged",
            objective="trajectory_balance",
            n_proposals=1000,
            oracle_calls=9000,
            use=ResourceUse(301.2, 560.0, 2**29),
            validity=1.0,
            log_partition=3.0,
            log_partition_se=0.02,
            ess=70.0,
            failures={"invalid SMILES": 3},
            methods=(*ALWAYS_CITED, "qed"),
            budget_seconds=300.0,
            training=TrainingFacts(4000, 128_000, 1, {"policy": 100.5}),
        )
        modes = find_modes(library.fingerprints, library.reward, least_score=facts.mode_score)
        summary = summarise(library, facts, modes)
        return render_report(library, summary, facts, modes, training=training)

    return make


@pytest.fixture(scope="session")
def parsimony_report(training):
    """Return a function of the number of best trees: the report of a search for 20 taxa."""
    from gfncore.program.provenance import ResourceUse
    from phylogfn.parsimony.search import SearchFacts
    from phylogfn.results.facts import ParsimonyFacts
    from phylogfn.results.parsimony import ParsimonyResult, TemperatureSample
    from phylogfn.results.parsimony_files import best_splits, summarise_parsimony
    from phylogfn.results.report.parsimony_page import render_parsimony_report
    from phylogfn.trees.tree import random_topology

    def make(n_best):
        rng = np.random.default_rng(3)
        parents = neighbours(random_topology(20, rng).parent, 12, rng).astype(np.int16)
        scores = np.array([316.0] * n_best + [318.0 + i for i in range(12 - n_best)])
        samples = []
        for temperature in (0.5, 1.0, 2.0):
            weights = np.exp((316.0 - scores) / temperature)
            samples.append(
                TemperatureSample(
                    temperature=temperature,
                    trained=True,
                    log_partition=float(np.log(weights.sum())),
                    standard_error=0.003,
                    ess=1900.0,
                    pareto_k=0.4,
                    n_proposals=2000,
                    known_share=0.9,
                    mean_score=float(scores @ weights / weights.sum()),
                    optimal_share=0.8,
                    sampler_mean_score=317.0,
                    sampler_optimal_share=0.7,
                    divergence=0.02,
                    counts=rng.multinomial(1000, weights / weights.sum()),
                    probabilities=weights / weights.sum(),
                )
            )
        result = ParsimonyResult(
            names=tuple(f"{GENERA[i % 6]}_species_{i + 1}" for i in range(20)),
            parents=parents,
            scores=scores,
            n_best=n_best,
            samples=tuple(samples),
            search=SearchFacts(316.0, 6, 6, True, True, False, False, 12),
            excess=2.0,
        )
        facts = ParsimonyFacts(
            command="phylogfn parsimony matrix.nex -o out --temperature 0.5 1 2",
            seed=1,
            alignment="matrix.nex",
            data_type="morphology",
            gaps="missing",
            environment="insertion",
            characters=SimpleNamespace(n_sites=120, n_informative=90, n_ordered=3, n_excluded=1),
            n_scores=335_675,
            use=ResourceUse(61.0, 118.0, 300 * 2**20),
            methods=("parsimony",),
            budget_seconds=300.0,
        )
        return render_parsimony_report(
            result,
            summarise_parsimony(result, facts),
            facts,
            newicks=["((a,b),c);"] * 12,
            table=best_splits(result),
            training=training,
        )

    return make
