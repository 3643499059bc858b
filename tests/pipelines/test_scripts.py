"""The scripts of the workflows: what they compute from the files of runs."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from gfncore.program.multiqc import table_content


def run_row(alignment, directory, seed, log_evidence, error=0.1, **more):
    return {
        "alignment": alignment,
        "directory": directory,
        "model": directory,
        "seed": seed,
        "log_evidence": log_evidence,
        "log_evidence_se": error,
        "ess": 100.0,
        "verdict": "unconfirmed",
        "warnings": "",
        **more,
    }


@pytest.fixture
def evidence(script):
    runs = pd.DataFrame(
        [
            run_row("b", "JC69", 1, -110.0),
            run_row("b", "JC69", 2, -110.2, warnings="short"),
            run_row("b", "K80", 1, -100.0),
            run_row("b", "K80", 2, -100.0),
            run_row("a", "JC69", 1, -50.0),
            run_row("a", "JC69", 2, -52.0),
        ]
    )
    comparisons = {
        ("b", "JC69"): {"asdsf": 0.02},
        ("b", "K80"): {"asdsf": 0.001},
        ("a", "JC69"): {"asdsf": math.nan},
    }
    return script("phylogeny", "tables").evidence_table(runs, comparisons, 0.01)


def test_alignments_keep_their_order_and_the_best_model_stands_first(evidence):
    assert list(zip(evidence["alignment"], evidence["directory"], strict=True)) == [
        ("b", "K80"),
        ("b", "JC69"),
        ("a", "JC69"),
    ]


def test_bayes_factors_are_against_the_best_model(evidence):
    assert evidence["log_bayes_factor"].tolist() == pytest.approx([0.0, -10.1, 0.0])
    best = 0.1 / math.sqrt(2)  # the error of two runs together
    other = best * math.sqrt(2)  # times their Birge ratio
    assert evidence["log_bayes_factor_se"].tolist() == pytest.approx(
        [0.0, math.hypot(best, other), 0.0]
    )
    share = math.exp(-10.1) / (1 + math.exp(-10.1))
    assert evidence["model_probability"].tolist() == pytest.approx([1 - share, share, 1.0])


def test_runs_that_have_failed_do_not_enter_the_evidence(script):
    runs = pd.DataFrame(
        [
            run_row("a", "JC69", 1, -110.0),
            run_row("a", "JC69", 2, -190.0, error=None, verdict="failed"),
            run_row("a", "K80", 1, -150.0, error=None, verdict="failed"),
        ]
    )
    table = script("phylogeny", "tables").evidence_table(runs, {}, 0.01)
    assert table["directory"].tolist() == ["JC69", "K80"]
    assert table["log_evidence"][0] == -110.0 and math.isnan(table["log_evidence"][1])
    assert table["model_probability"][0] == 1.0
    assert script("phylogeny", "page").model_row(table.iloc[1])["evidence"] == "n/a"


def test_seeds_that_disagree_are_marked(evidence):
    # without splits that any seed finds often there is nothing to disagree on
    assert evidence["agree"].tolist() == [True, False, True]
    assert evidence["birge_ratio"].tolist() == pytest.approx([0.0, math.sqrt(2), 10 * math.sqrt(2)])
    assert evidence["warnings"].tolist() == [0, 1, 0]


def test_what_compare_prints_is_read(script, tmp_path):
    path = tmp_path / "comparison.tsv"
    path.write_text(
        "file\ttrees\tused\ttopologies\na\t3\t3\t2\n\nasdsf\tNA (no split)\n"
        "largest_split_difference\t0.25\t0.5, 0.75\tx,y | z\nrf_consensus\t0\ta\tb\n"
        "rf_consensus\t2\ta\tc\nrf_mean\t1.5\ta\tb\n"
    )
    found = script("phylogeny", "tables").read_comparison(str(path))
    assert math.isnan(found.pop("asdsf"))
    assert found == {"largest_split_difference": 0.25, "rf_consensus": 2.0, "rf_mean": 1.5}


def test_consensus_tree_is_read_as_it_is_printed(script, tmp_path):
    path = tmp_path / "consensus.nwk"
    path.write_text("(A:0.1,B:0.2,((C:0.1,D:0.1)0.75:0.1,E:0.3)1:0.2);\n")
    tree, names = script("phylogeny", "page").read_consensus(str(path))
    assert names == ("A", "B", "C", "D", "E")
    assert [support for support in tree.supports if support is not None] == [1.0, 0.75]
    assert [names[taxon] for taxon in tree.taxon if taxon is not None] == list(names)


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (-475.31146, 0.0038, "\u2212475.3115 \u00b1 0.0038"),
        (-10.2, 1.26, "\u221210.2 \u00b1 1.3"),
        (3.0, math.nan, "3.00"),
        (0.0, 0.0, "0.00 \u00b1 0.00"),
    ],
)
def test_numbers_with_errors(script, value, error, words):
    assert script("phylogeny", "page").with_error(value, error) == words


@pytest.fixture
def pooled(script):
    one = pd.DataFrame(
        {
            "smiles": ["CC", "CO", "c1ccccc1"],
            "reward": [0.9, 0.5, 0.4],
            "log_probability": [-1.0, -2.0, -3.0],
            "log_probability_se": [0.1] * 3,
            "scaffold": [None, None, "c1ccccc1"],
            "count": [3, 2, 1],
        }
    )
    two = pd.DataFrame(
        {
            "smiles": ["Cc1ccccc1", "CC"],
            "reward": [0.6, 0.9],
            "log_probability": [-4.0, -2.0],
            "log_probability_se": [0.1] * 2,
            "scaffold": ["c1ccccc1", None],
            "count": [1, 1],
        }
    )
    return script("molecules", "pool").pool([one, two], [7, 11])


def test_molecules_of_several_seeds_are_one(pooled):
    assert pooled["smiles"].tolist() == ["CC", "Cc1ccccc1", "CO", "c1ccccc1"]
    assert pooled["count"].tolist() == [4, 1, 2, 1]
    assert pooled["seeds"].tolist() == ["7 11", "11", "7", "7"]
    both = np.log((np.exp(-1.0) + np.exp(-2.0)) / 2)
    assert pooled["log_probability"].tolist() == pytest.approx([both, -4.0, -2.0, -3.0])
    assert "log_probability_se" not in pooled


def test_filters_and_ranks(script, pooled):
    rank = script("molecules", "rank").rank
    everything = {"min_score": 0.0, "min_seeds": 1, "size": 1000}
    assert rank(pooled, everything)[0]["rank"].tolist() == [1, 2, 3, 4]
    assert rank(pooled, everything | {"min_score": 0.5})[0]["smiles"].tolist() == [
        "CC",
        "Cc1ccccc1",
        "CO",
    ]
    assert rank(pooled, everything | {"min_seeds": 2})[0]["smiles"].tolist() == ["CC"]
    # toluene and benzene share a scaffold; the two without rings are not counted together
    few, left = rank(pooled, everything | {"max_per_scaffold": 1, "size": 2})
    assert few["smiles"].tolist() == ["CC", "Cc1ccccc1"]
    assert left["within the limit per scaffold"] == 3
    assert left["in the library"] == 2


def test_a_screen_filters_and_ranks(script, pooled):
    module = script("molecules", "rank")
    screened = pd.DataFrame(
        {
            "reward": ["0.1", "0.8", "0.7", ""],
            "remark": [None, None, "filtered by limits", "failed"],
        }
    )
    table = module.with_screen(pooled, screened)
    settings = {"min_score": 0.0, "min_seeds": 1, "size": 9, "min_screen": 0.05}
    assert module.rank(table, settings)[0]["smiles"].tolist() == ["CC", "Cc1ccccc1"]
    by_screen, left = module.rank(table, settings | {"rank_by": "screen"})
    assert by_screen["smiles"].tolist() == ["Cc1ccccc1", "CC"]
    assert left["that pass the screen"] == 2
    with pytest.raises(ValueError, match="has 3 molecules, but 4 were pooled"):
        module.with_screen(pooled, screened.head(3))


def test_shared_molecules(script, pooled):
    assert script("molecules", "tables").shared(pooled) == pytest.approx(1 / 4)
    alone = pooled.assign(seeds="7")
    assert math.isnan(script("molecules", "tables").shared(alone))


@pytest.mark.parametrize("workflow", ["phylogeny", "molecules"])
def test_custom_content_leaves_out_what_is_not_known(script, workflow):
    parent = script(workflow, "multiqc").PARENT
    rows = {"a": {"x": 1.0}, "b": {"x": math.nan}}
    text = table_content("some", "Some", "words", {"x": {"title": "X"}}, rows, parent)
    content = json.loads(text)
    assert content["data"] == {"a": {"x": 1.0}, "b": {}}
    assert content["plot_type"] == "table"
    assert content["parent_id"] in {"phylogfn", "molgen"}
