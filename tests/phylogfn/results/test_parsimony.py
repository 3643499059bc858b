"""What a user is told before trusting a sample of parsimonious trees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from phylogfn.parsimony.search import SearchFacts
from phylogfn.results.parsimony import ParsimonyResult, TemperatureSample, parsimony_warnings

SAMPLE = TemperatureSample(
    temperature=1.0,
    trained=True,
    log_partition=2.0,
    standard_error=0.01,
    ess=800.0,
    pareto_k=0.4,
    n_proposals=2000,
    known_share=0.8,
    mean_score=12.0,
    optimal_share=0.5,
    sampler_mean_score=12.5,
    sampler_optimal_share=0.4,
    divergence=0.05,
    counts=np.array([1000]),
    probabilities=np.array([1.0]),
)


def warnings_of(**changes):
    result = ParsimonyResult(
        names=("a", "b", "c"),
        parents=np.array([[-1, 3, 3, 0]], np.int16),
        scores=np.array([12.0]),
        n_best=1,
        samples=(replace(SAMPLE, **changes),),
        search=SearchFacts(12.0, 6, 6, True, True, False, False, 1),
        excess=2.0,
    )
    return parsimony_warnings(result)


def test_a_good_sample_has_no_warnings():
    assert warnings_of() == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"divergence": 3.2}, "too little probability to some of the known trees"),
        ({"pareto_k": 0.9}, "a few draws dominate the weights (Pareto k = 0.90"),
        ({"ess": 20.0}, "effective sample size is low (20,"),
        ({"standard_error": 0.5}, "log Z is uncertain (standard error 0.50"),
    ],
)
def test_warnings_in_plain_words(changes, words):
    (warning,) = warnings_of(**changes)
    assert warning.startswith("At temperature 1 ") and words in warning


def test_the_sampler_does_not_matter_where_nearly_all_is_known():
    assert warnings_of(divergence=3.2, pareto_k=0.9, ess=20.0, known_share=0.999) == ()
