"""Libraries: distinct molecules, best first."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from molgen.results.columns import LibraryColumns, count_draws, share_valid


def scores(total):
    total = np.array(total, float)
    return SimpleNamespace(total=total, components={"x": 2 * total}, objectives=total[:, None])


def test_best_first_then_in_the_order_of_smiles_then_those_without_a_score():
    library = LibraryColumns.build(["CN", "CC", "C", "CO"], scores([0.5, 0.5, 0.9, np.nan]))
    assert library.smiles == ("C", "CC", "CN", "CO")
    np.testing.assert_array_equal(library.reward, [0.9, 0.5, 0.5, np.nan])
    np.testing.assert_array_equal(library.components["x"], [1.8, 1.0, 1.0, np.nan])
    np.testing.assert_allclose(library.log_reward, np.log([0.9, 0.5, 0.5, np.nan]))


def test_columns_keep_to_their_molecules():
    library = LibraryColumns.build(
        ["CCO", "c1ccccc1C"],
        scores([0.2, 0.8]),
        log_reward=np.array([-2.0, -1.0]),
        log_probability=np.array([-6.0, -5.0]),
        log_probability_se=np.array([0.2, 0.1]),
        count=[3, 4],
    )
    assert library.smiles == ("c1ccccc1C", "CCO")
    assert library.scaffold == ("c1ccccc1", "")
    assert library.log_reward.tolist() == [-1.0, -2.0]
    assert library.log_probability.tolist() == [-5.0, -6.0]
    assert library.log_probability_se.tolist() == [0.1, 0.2]
    assert library.count.tolist() == [4, 3]
    assert library.objective_names == ("objective_1",)


def test_what_is_not_given_is_not_known():
    library = LibraryColumns.build(["C"], scores([0.0]))
    assert np.isnan(library.log_probability).all() and np.isnan(library.log_probability_se).all()
    assert library.count.tolist() == [1]
    assert library.log_reward.tolist() == [-np.inf]


def test_wrong_columns_are_refused():
    with pytest.raises(ValueError, match="occurs twice"):
        LibraryColumns.build(["C", "C"], scores([0.1, 0.2]))
    with pytest.raises(ValueError, match="count has 1 entries for 2 molecules"):
        LibraryColumns.build(["C", "N"], scores([0.1, 0.2]), count=[1])
    with pytest.raises(ValueError, match="2 names for 1 objectives"):
        LibraryColumns.build(["C"], scores([0.1]), objective_names=["a", "b"])


def test_means_of_the_best():
    library = LibraryColumns.build(["C", "N", "O"], scores([0.2, 0.8, np.nan]))
    assert library.top_mean(1) == 0.8
    assert library.top_mean(10) == 0.5
    assert np.isnan(LibraryColumns.build([], scores([])).top_mean(10))


def test_validity_counts_draws(capfd):
    assert share_valid(["C", "C1CC"], np.array([3, 1])) == 0.75
    assert np.isnan(share_valid([], np.zeros(0, np.int64)))
    assert capfd.readouterr().err == ""
    library = LibraryColumns.build(["C", "C1CC"], scores([0.2, 0.8]))
    assert library.fingerprints[library.smiles.index("C1CC")].GetNumOnBits() == 0


def test_scaffolds_are_counted(make_library):
    counts = make_library().scaffold_counts()
    assert list(counts.items())[0] == ("c1ccccc1", 4)
    assert "" not in counts
    assert sum(counts.values()) == 7  # ethanol has none


def test_draws_are_counted():
    smiles, count, first = count_draws(["C", "N", "C", "O", "N", "C"])
    assert smiles == ["C", "N", "O"]
    assert count.tolist() == [3, 2, 1]
    assert first.tolist() == [0, 1, 3]
