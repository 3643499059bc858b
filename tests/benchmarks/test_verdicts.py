"""The benchmark of verdicts: simulated alignments and counts."""

from benchmarks.phylogfn.verdicts import Pair, shares, simulated


def test_a_simulated_alignment_depends_on_its_number_and_seed_alone() -> None:
    name, text = simulated(3, 1)
    assert (name, text) == simulated(3, 1)
    assert text != simulated(4, 1)[1] and text != simulated(3, 2)[1]
    sizes = [simulated(number, 1)[1].count(">") for number in range(40)]
    assert min(sizes) >= 5 and max(sizes) <= 60 and len(set(sizes)) > 10


def test_shares_count_runs_and_pairs() -> None:
    both, one = ("trusted", "trusted"), ("trusted", "doubtful")
    pairs = [
        Pair("a", "5 x 100", both, 0.5, 1.0),
        Pair("b", "5 x 100", both, -3.5, 1.0),
        Pair("c", "5 x 100", one, 9.0, 1.0),
    ]
    trusted, apart = shares(pairs)
    assert trusted.startswith("Trusted: 5 of 6 runs (83%")
    assert apart == "More than three standard errors apart: 1 of 2 pairs of trusted runs."
