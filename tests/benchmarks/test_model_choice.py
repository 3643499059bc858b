"""The benchmark of ``--model auto``: order of the models, counts, and simulated alignments."""

import numpy as np

from benchmarks.phylogfn.model_choice import TRUE_MODELS, Choice, contains, simulated, table


def test_a_model_contains_itself_and_smaller_ones() -> None:
    assert contains("GTR+I+G4", "JC69") and contains("HKY85+G4", "HKY85+G4")
    assert not contains("GTR", "K80+G4")  # no rates
    assert not contains("K80+I+G4", "HKY85")  # equal frequencies


def test_each_true_model_simulates_an_alignment_of_its_composition() -> None:
    for name, model in TRUE_MODELS.items():
        rows = simulated(model, 6, 2000, np.random.default_rng(1)).split("\n")[1::2]
        share = "".join(rows).count("A") / 12000
        expected = 0.25 if name.startswith(("JC69", "K80")) else 0.35
        assert abs(share - expected) < 0.06, name


def test_counts_of_a_table() -> None:
    nan = float("nan")
    choices = [
        Choice("K80", "K80", 0.9, 0.01),
        Choice("K80", "HKY85+G4", 0.6, 0.03),
        Choice("HKY85", "K80", 0.7, nan),
    ]
    assert table(choices) == [
        ["K80", "2", "2", "1", "0.030"],
        ["HKY85", "1", "0", "0", ""],
        ["all", "3", "2", "1", "0.030"],
    ]
