"""Samplers of near-optimal trees against all topologies of few taxa, at three temperatures.

One policy is trained for a range of temperatures, as in a run of ``phylogfn parsimony``: search,
insertion order, rates, tries or histories, own draws. Its exact distribution is compared with
exp((best - score) / T) / Z(T), and its draws with both.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from gfncore.evaluation import chi_squared, exact_distribution, total_variation
from gfncore.program.progress import Progress
from gfncore.tempering import TemperedEnvironment
from phylogfn.kernels.topology_numba import topology_keys
from phylogfn.settings import ParsimonySettings
from phylogfn.trees.keys import taxon_codes

pytestmark = [pytest.mark.verification, pytest.mark.long]

TEMPERATURES = (0.5, 1.0, 2.0)
N_DRAWS = 4000
LARGEST_DISTANCE = 0.01  # in total variation


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_part(path, alignment):
    letters = np.array(list("-ACMGRSVTWYHKDBN"))
    with path.open("w") as file:
        for name, masks in zip(alignment.names, alignment.masks, strict=True):
            file.write(f">{name}\n{''.join(letters[masks])}\n")


@pytest.mark.parametrize("kind", ["insertion", "merging"])
@pytest.mark.parametrize(
    ("taxa", "sites", "seed"),
    [
        ([0, 1, 2, 7, 11], 40, 1),
        ([2, 3, 4, 5, 6], 120, 2),
        ([0, 1, 2, 5, 7, 11], 40, 3),
    ],
)
def test_sampler_is_the_enumerated_distribution(
    primates, all_topologies, tmp_path, monkeypatch, taxa, sites, seed, kind
):
    from phylogfn.runs.parsimony import answer as parsimony_answer
    from phylogfn.runs.parsimony import main as parsimony_run
    from phylogfn.runs.parsimony.effort import ParsimonyEffort

    write_part(tmp_path / "part.fasta", primates(taxa, sites))
    kept = []

    def keep(run, state, environment):
        kept.append((run, state, environment))
        parsimony_answer.finish(run, state, environment)

    monkeypatch.setattr(parsimony_run, "finish", keep)
    settings = ParsimonySettings(
        alignment=str(tmp_path / "part.fasta"),
        output=tmp_path / "out",
        temperature=TEMPERATURES,
        environment=kind,
        seed=seed,
        threads=1,
        budget="5h",  # the clock decides nothing
    )
    # histories of merging are noisier than the one way to insert
    settling = 1000 if kind == "merging" else 600
    effort = ParsimonyEffort(fewest_cycles=30, settling_steps=settling)
    parsimony_run.run_parsimony(settings, Progress("phylogfn", quiet=True), effort)
    ((run, state, environment),) = kept
    every = all_topologies(len(taxa))
    scores = run.scorer.scores(every)
    best = scores.min()
    assert state.search.best_score == best
    codes = taxon_codes(len(taxa))
    place = {key.tobytes(): i for i, key in enumerate(topology_keys(every, codes))}

    def places(trees):
        return np.array([place[key.tobytes()] for key in topology_keys(trees, codes)])

    policy = state.trainer.averaged.policy
    policy.defence = 0.0  # a small share of other choices for importance draws: was not learned
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["best_score"] == best and summary["n_best_trees"] == (scores == best).sum()
    for temperature, told in zip(TEMPERATURES, summary["temperatures"], strict=True):
        at = TemperedEnvironment(environment, 1.0 / temperature)
        exact = exact_distribution(at, policy)
        q = np.zeros(len(every))
        q[places(environment.trees(exact.terminals.inner))] = exact.probability
        log_z = np.logaddexp.reduce((best - scores) / temperature)
        p = np.exp((best - scores) / temperature - log_z)
        distance = total_variation(p, q)
        print(f"{kind} {len(taxa)} taxa T={temperature}: total variation {distance:.4f}")
        assert distance <= LARGEST_DISTANCE
        (draws,) = parsimony_answer.draw_trees(
            environment,
            policy,
            np.array([1.0 / temperature]),
            N_DRAWS,
            np.random.default_rng(seed),
            run.scorer.pool,
        )
        counts = np.bincount(places(draws.parents), minlength=len(every))
        assert chi_squared(counts, q).p_value > 1e-3
        assert chi_squared(counts, p).p_value > 1e-4
        # what the files say
        assert told["log_partition"] == pytest.approx(log_z, abs=0.01)
        assert told["mean_score"] == pytest.approx(p @ scores, abs=0.01)
        assert told["optimal_share"] == pytest.approx(p[scores == best].sum(), abs=0.01)
