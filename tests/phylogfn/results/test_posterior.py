"""The answer as an object: tables, trees, files and the view of notebooks."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import ete3
import numpy as np
import pandas
import pytest
from Bio import Phylo

from gfncore.errors import UserError
from gfncore.program.provenance import record_provenance
from phylogfn.estimates.clades import TopologyShares
from phylogfn.results.posterior_files import write_results
from phylogfn.trees.splits import split_supports

FAILED = {"ess": 1.1}
PROBABLE = {"topology_probabilities": np.array([0.9, 0.05, 0.03, 0.02])}


def clades_with_errors(posterior):
    """Return the clade probabilities of its topologies, each of relative error 0.1."""
    n = posterior.n_topologies
    shares = posterior.topology_probabilities
    zero = np.zeros(n)
    topologies = TopologyShares(np.arange(n), shares, 0.01 * shares**2, zero, 100, 0)
    return topologies.clades(posterior.topology_parents)


def test_topologies_are_those_of_the_file(make_posterior, run_facts, tmp_path):
    posterior = make_posterior(topology_errors=np.full(4, 1e-3), facts=run_facts)
    write_results(tmp_path, posterior)
    filed = pandas.read_csv(tmp_path / "topologies.tsv", sep="\t")
    frame = posterior.topologies()
    assert list(frame.columns) == list(filed.columns)
    assert list(frame["newick"]) == list(filed["newick"])
    assert list(frame["rank"]) == [1, 2, 3, 4]
    numbers = ["probability", "probability_se", "cumulative", "log_evidence"]
    np.testing.assert_allclose(frame[numbers], filed[numbers], atol=2e-3)
    assert make_posterior().topologies()["probability_se"].isna().all()


def test_clades_have_the_supports_of_splits(make_posterior):
    posterior = make_posterior()
    frame = posterior.clades()
    supports = split_supports(posterior.topology_parents, posterior.topology_probabilities)
    assert frame["probability"].is_monotonic_decreasing
    assert sorted(frame["probability"]) == pytest.approx(sorted(supports.values()))
    for row in frame.itertuples():
        assert row.n_taxa == len(row.taxa) <= 4
        split = sum(1 << posterior.names.index(name) for name in row.taxa)
        assert supports[split if not split & 1 else split ^ 255] == pytest.approx(row.probability)
    assert frame.drop(columns="probability_se").notna().all(axis=None)
    assert frame["probability_se"].isna().all()
    assert make_posterior(**FAILED).clades()["probability"].isna().all()


def test_clades_have_the_probabilities_and_errors_that_were_estimated(make_posterior):
    estimated = clades_with_errors(make_posterior())
    posterior = make_posterior(split_probabilities=estimated)
    frame = posterior.clades()
    order = np.argsort(-estimated.probabilities)
    np.testing.assert_array_equal(frame["probability"], estimated.probabilities[order])
    assert sorted(frame["probability_se"]) == sorted(estimated.errors)
    assert 0.005 < frame["probability_se"].max() < 0.1
    nexus = make_posterior(split_probabilities=estimated, **PROBABLE).consensus().nexus()
    errors = re.findall(r"\[&prob=[0-9.]+,prob_stddev=([0-9.e-]+),", nexus)
    assert set(errors) and set(errors) <= {f"{x:.2g}" for x in estimated.errors}
    failed = make_posterior(split_probabilities=estimated, **FAILED).clades()
    assert failed[["probability", "probability_se"]].isna().all(axis=None)


def test_clades_of_the_file_have_the_digits_that_their_errors_support(
    make_posterior, run_facts, tmp_path
):
    names = ("a,b", "c d", "e", "f", "g", "h", "i", "j")
    estimated = clades_with_errors(make_posterior())
    posterior = make_posterior(names=names, split_probabilities=estimated, facts=run_facts)
    write_results(tmp_path, posterior)
    head, *lines = (tmp_path / "clades.tsv").read_text().splitlines()
    frame = posterior.clades()
    assert head.split("\t") == list(frame.columns)
    assert len(lines) == len(frame) > 10
    for line, row in zip(lines, frame.itertuples(), strict=True):
        taxa, n_taxa, probability, error, mean, sd = line.split("\t")
        assert int(n_taxa) == row.n_taxa and (taxa.count("'a,b'") == 1) is ("a,b" in row.taxa)
        assert float(error) == pytest.approx(row.probability_se, rel=0.06)
        assert float(probability) == pytest.approx(row.probability, abs=0.1 * float(error))
        assert float(mean) == pytest.approx(row.mean_length, rel=1e-3)
        assert sd == "NA" or float(sd) == pytest.approx(row.sd_length, rel=1e-3)
    write_results(tmp_path, make_posterior(facts=run_facts, **FAILED))
    rows = (tmp_path / "clades.tsv").read_text().splitlines()[1:]
    assert {tuple(row.split("\t")[2:4]) for row in rows} == {("NA", "NA")}


def test_consensus_is_that_of_the_files(make_posterior, run_facts, tmp_path):
    for name, changes in (("good", {}), ("failed", FAILED)):
        posterior = make_posterior(facts=run_facts, **changes)
        write_results(tmp_path / name, posterior)
        consensus = posterior.consensus()
        assert consensus.newick() + "\n" == (tmp_path / name / "consensus.nwk").read_text()
        assert consensus.nexus() == (tmp_path / name / "consensus.con.tre").read_text()
        assert ("warning" in str(consensus)) is (name == "failed")


@pytest.mark.parametrize("outgroup", ["Lemur_catta", "Tarsius_syrichta"])
def test_consensus_with_an_outgroup(make_posterior, outgroup):
    posterior = make_posterior(**PROBABLE)
    unrooted, rooted = posterior.consensus(), posterior.consensus(outgroup=outgroup)
    assert "[&U]" in unrooted.nexus() and "[&R]" in rooted.nexus()
    tree = rooted.to_ete3()
    first, rest = tree.children
    assert first.name == outgroup and first.dist == rest.dist
    same = unrooted.to_ete3()
    same.set_outgroup(outgroup)
    assert tree.robinson_foulds(same)[0] == 0
    for name in posterior.names[1:]:
        assert tree.get_distance(posterior.names[0], name) == pytest.approx(
            same.get_distance(posterior.names[0], name)
        )


def test_a_clade_as_outgroup(make_posterior):
    posterior = make_posterior(**PROBABLE)
    best = posterior.clades().iloc[0]
    clade = best["taxa"]
    rooted = posterior.consensus(clade).to_ete3()
    sides = [set(child.get_leaf_names()) for child in rooted.children]
    assert set(clade) in sides and len(sides) == 2
    assert {child.support for child in rooted.children} == {best["probability"]}


@pytest.mark.parametrize(
    ("outgroup", "words"),
    [
        ("Lemur_cata", "'Lemur_cata' is not one of the 8 taxa; did you mean 'Lemur_catta'?"),
        ([], "0 of 8 taxa are given"),
        (["Pan", "Gorilla", "Lemur_catta"], "the 3 taxa are not a clade of the tree"),
    ],
)
def test_wrong_outgroups(make_posterior, outgroup, words):
    with pytest.raises(UserError, match=re.escape(words)):
        make_posterior(**PROBABLE).consensus(outgroup)


def test_trees_in_other_packages(make_posterior):
    posterior = make_posterior(**PROBABLE)
    consensus = posterior.consensus()
    plain = consensus.newick()
    ours = ete3.Tree(plain)
    ete, bio, dendro = consensus.to_ete3(), consensus.to_biopython(), consensus.to_dendropy()
    assert ete.robinson_foulds(ours, unrooted_trees=True)[0] == 0
    assert ete.write(format=0) == ours.write(format=0)
    text = io.StringIO()
    Phylo.write(bio, text, "newick", format_branch_length="%.8g", format_confidence="%.6g")
    assert ete3.Tree(text.getvalue()).robinson_foulds(ours, unrooted_trees=True)[0] == 0
    confidences = {clade.confidence for clade in bio.get_nonterminals()} - {None}
    assert confidences == {node.support for node in ours.iter_descendants() if not node.is_leaf()}
    assert {taxon.label for taxon in dendro.taxon_namespace} == set(posterior.names)
    assert dendro.is_unrooted and consensus.rooted_at("Pan").to_dendropy().is_rooted
    labels = {node.label for node in dendro.preorder_internal_node_iter()} - {None}
    assert {float(label) for label in labels} == confidences


def test_odd_names_in_other_packages(make_posterior):
    names = ("Bufo valliceps", "O'Brien", "7", "a(b)", "k[1]", "x,y", "A-b.c|d", "\u00c6:;=")
    consensus = make_posterior(names=names).consensus()
    assert set(consensus.to_ete3().get_leaf_names()) == set(names)
    assert {leaf.name for leaf in consensus.to_biopython().get_terminals()} == set(names)
    assert {taxon.label for taxon in consensus.to_dendropy().taxon_namespace} == set(names)


def test_draws_are_those_of_the_file(make_posterior, run_facts, tmp_path):
    for name, changes in (("good", {}), ("failed", FAILED)):
        posterior = make_posterior(facts=run_facts, **changes)
        write_results(tmp_path / name, posterior)
        lines = (tmp_path / name / "trees.nwk").read_text().splitlines()
        assert [tree.newick() for tree in posterior.trees()] == lines


def test_packages_that_are_not_installed(make_posterior, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dendropy", None)
    with pytest.raises(UserError, match=r"DendroPy is not installed.*pip install '\.\[dendropy\]'"):
        make_posterior().consensus().to_dendropy()


def test_written_directories(make_posterior, run_facts, tmp_path):
    record = record_provenance("phylogfn", parameters={}, seed=1, threads=2)
    line = '{"step": 1, "seconds": 1.0, "log_evidence": -7.0, "log_evidence_se": 0.1}\n'
    facts = replace(
        run_facts, provenance=record, run_toml="# Settings of this run.\n", train_jsonl=line
    )
    posterior = make_posterior(facts=facts)
    posterior.write(str(tmp_path / "out"))
    assert (tmp_path / "out" / "train.jsonl").read_text() == line
    assert (tmp_path / "out" / "run.toml").read_text() == "# Settings of this run.\n"
    (tmp_path / "command").mkdir()
    (tmp_path / "command" / "train.jsonl").write_text(line)
    write_results(tmp_path / "command", posterior)
    for path in (tmp_path / "command").iterdir():
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes(), path.name
    with pytest.raises(UserError, match=r"out is not empty .* or force=True to replace the run"):
        posterior.write(tmp_path / "out")
    # the files of the run are replaced, and others kept
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "out" / "tensorboard").mkdir()
    replace(posterior, ess=700.0).write(tmp_path / "out", force=True)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["ess"] == 700.0
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "out" / "tensorboard").exists()
    with pytest.raises(ValueError, match="no facts"):
        make_posterior().write(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [({}, "unconfirmed"), ({"pareto_k": 0.9}, "doubtful"), (FAILED, "failed")],
)
def test_view_of_notebooks(make_posterior, changes, verdict):
    posterior = make_posterior(names=("<a>", "b&c", *"defghi"), **changes)
    assert posterior.verdict == verdict
    assert repr(posterior).startswith("Posterior(8 taxa, log evidence -6489.00 \u00b1 0.02, ESS")
    html = posterior._repr_html_()
    style, _, body = html.partition("</style>")
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", html) and "<script" not in html
    tree = ElementTree.fromstring(body)
    text = " ".join(tree.itertext())
    assert verdict in text and "\u22126,489.00 \u00b1 0.020" in text and "<a>" in text
    assert (verdict == "unconfirmed") is (tree.find("ul") is None)
    assert tree.find(".//{http://www.w3.org/2000/svg}svg") is not None
    assert len(html) < 20_000
    large = make_posterior(names=tuple(f"t{i}" for i in range(300)))._repr_html_()
    assert "<svg" not in large
