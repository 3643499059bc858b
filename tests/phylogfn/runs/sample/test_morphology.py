"""``phylogfn sample`` on morphological characters, alone and with sequences."""

from __future__ import annotations

import csv
import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from gfncore.errors import UserError
from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.patterns import CharacterPatterns, compress
from phylogfn.estimates.lengths.one_topology import topology_evidence
from phylogfn.likelihood.branch_prior import parse_branch_prior
from phylogfn.likelihood.collapsed import CollapsedReward
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.trees.files import read_trees

_file = importlib.util.spec_from_file_location("small_runs", Path(__file__).parent / "test_main.py")
assert _file is not None and _file.loader is not None
runs = importlib.util.module_from_spec(_file)
_file.loader.exec_module(runs)

SIMULATED = runs.ROOT / "data" / "simulated.nex"
ORDERED = """begin mrbayes;
ctype ordered: 5;
end;
"""


def rows(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t"))


def write_five(folder):
    """Five taxa of the simulated matrix, with the characters that vary among them."""
    lines = SIMULATED.read_text().splitlines()
    taxa = ["Alder", "Birch", "Cedar", "Elm", "Fir"]
    kept = [line for line in lines if not line.startswith("        ") or line.split()[0] in taxa]
    text = "\n".join(kept).replace("ntax=10", "ntax=5")
    path = folder / "five.nex"
    path.write_text(text + "\nbegin paup; exclude constant; end;\n")
    return path


def test_the_evidence_is_the_sum_over_all_topologies(tmp_path):
    """Five taxa, MKV: against importance sampling of each of the 15 trees."""
    path = write_five(tmp_path)
    alignment = read_alignment(path)
    patterns = compress(alignment)
    model = parse_model("MKV", "standard").resolve(patterns).build()
    reward = CollapsedReward(TreeLikelihood(patterns, model), parse_branch_prior("exp:10"), 1)
    total, names, trees = [], alignment.names, tmp_path / "all.nwk"
    for alone, other in itertools.product(range(5), (1, 2, 3)):
        rest = [name for taxon, name in enumerate(names) if taxon != alone]
        pair = [rest.pop(other), rest.pop(0)]
        trees.write_text(f"(({','.join(pair)}),({','.join(rest)}),{names[alone]});\n")
        (tree,) = read_trees(trees, names).trees
        total.append(topology_evidence(tree.parent, None, reward, 500, 1).log_evidence)
    reward.pool.shutdown()
    expected = np.logaddexp.reduce(total) - np.log(15)
    runs.run_small(path, tmp_path / "out", model="MKV", branch_prior="exp:10")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["log_evidence"] == pytest.approx(
        expected, abs=4 * summary["log_evidence_se"] + 0.02
    )


def test_models_are_chosen_and_integrated_over(tmp_path):
    path, out = write_five(tmp_path), tmp_path / "out"
    clades = tmp_path / "clades.txt"
    clades.write_text("pair: Elm, Fir\n")
    runs.run_small(path, out, model="auto", predictive=True, ancestral=str(clades))
    assert {row["model"] for row in rows(out / "models.tsv")} == {"MKV", "MKV+G4"}
    assert [row["parameter"] for row in rows(out / "parameters.tsv")][0] == "TL"
    found = rows(out / "ancestral.tsv")
    alignment = read_alignment(path)
    sites = [alignment.column_number(column) for column in range(alignment.n_sites)]
    assert sorted({int(row["site"]) for row in found}) == sites and len(sites) < 72
    patterns = compress(alignment)
    assert isinstance(patterns, CharacterPatterns)
    n_states = {
        sites[column]: k
        for (k, _), columns in zip(patterns.classes, patterns.columns, strict=True)
        for column in columns
    }
    for row in found:  # the ancestor has the states of its character, and no others
        p = [row[f"p_{state}"] for state in range(4)]
        k = n_states[int(row["site"])]
        assert p[k:] == ["NA"] * (4 - k)
        assert sum(map(float, p[:k])) == pytest.approx(1.0, abs=1e-3)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["extra"]["predictive"]["simulations"] > 0


def test_a_constant_character_makes_the_program_choose_mk(tmp_path):
    path = tmp_path / "a.fasta"
    rows_of = ("0001020", "0011020", "1100100", "110020?", "1011210")
    path.write_text("".join(f">t{i}\n{row}\n" for i, row in enumerate(rows_of)))
    runs.run_small(path, tmp_path / "out", model="auto")
    assert {row["model"] for row in rows(tmp_path / "out" / "models.tsv")} == {"MK", "MK+G4"}


def test_morphology_and_sequences(tmp_path, mixed_matrix):
    path = tmp_path / "both.nex"
    path.write_text(mixed_matrix + ORDERED)
    out = tmp_path / "out"
    runs.run_small(
        path, out, model="K80+G4", models={"standard": "MK+G4"}, link=["gamma_shape"],
        priors={"gamma_shape": "exp:2"}, ancestral="consensus",
    )  # fmt: skip
    summary = json.loads((out / "summary.json").read_text())
    assert summary["model"] == "MK+G4 (standard); K80+G4 (dna)"
    found = [row["parameter"] for row in rows(out / "parameters.tsv")]
    assert found == ["TL", "kappa{2}", "alpha{all}", "m{1}", "m{2}"]
    assert {int(row["site"]) for row in rows(out / "ancestral.tsv")} == set(range(1, 23))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "MKV", "data_type": "standard"}, "1 column is constant or may be .3."),
        ({"models": {"standard": "MKV"}}, "'MKV' of part 'standard': .* column is constant"),
        ({"models": {"dna": "K80+ASC"}}, "'K80.ASC' of part 'dna': .* use the model without .ASC"),
        ({"models": {"standard": "LG"}}, "part 'standard': model 'LG': LG is not for standard"),
        ({"model": "MK", "data_type": "standard", "environment": "merging"}, "morphology"),
    ],
)
def test_what_is_refused(tmp_path, mixed_matrix, settings, message):
    path = tmp_path / "both.nex"
    constant = mixed_matrix + ORDERED
    for row in ("A 00", "C 11", "D 11"):  # the third character
        constant = constant.replace(row + "0", row + "1")
    path.write_text(constant)
    with pytest.raises(UserError, match=message) as caught:
        runs.run_small(path, tmp_path / "out", **settings)
    assert "\n" not in str(caught.value)
