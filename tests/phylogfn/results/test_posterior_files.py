"""The files of `phylogfn sample`, read back by the programs that users have."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import dendropy
import ete3
import numpy as np
import pytest
from Bio import Phylo

from gfncore.program.provenance import record_provenance
from phylogfn.exploration.agreement import SearchAgreement
from phylogfn.output_names import OUTPUT_NAMES
from phylogfn.results.facts import (
    BranchLengthFacts,
    ClosedFormFacts,
    KnownTopologies,
    SearchFacts,
    TrainingFacts,
)
from phylogfn.results.posterior_files import mrbayes_trees, split_runs, with_names, write_results
from phylogfn.trees.samples import read_tree_sample
from phylogfn.trees.splits import SplitProbabilities, split_supports

SUMMARY_KEYS = (
    "software version command seed n_taxa n_sites n_patterns model log_evidence log_evidence_se "
    "ess pareto_k n_samples n_topologies likelihood_evaluations wall_seconds compile_seconds "
    "cpu_seconds peak_memory_bytes warnings extra"
).split()

ODD_NAMES = ("Bufo valliceps", "O'Brien", "7", "a(b)", "k[1]", "x,y", "A-b.c|d", "Æ:;=")
FURTHER_KEYS = (
    "environment branch_lengths objective backward_policy effective_share_of_draws known_share "
    "kl_known_to_sampler kl_known_to_sampler_se searches_agree search_share_1 search_share_2 "
    "search_log_mass_difference search_asdsf search_split_difference scouts scout_hits "
    "sampler_temperature walk_steps topologies_evaluated training_steps training_cycles "
    "training_seconds_by_part log_evidence_closed_form closed_form_se branch_length_correction "
    "branch_length_correction_se branch_length_draws branch_length_ess "
    "branch_length_draws_effective_share branch_length_pareto_k topology_pareto_k "
    "probability_with_own_correction listed_probability random_trees_correlation"
).split()


def write(tmp_path, posterior, facts, seed=1):
    facts = replace(facts, files_seed=(seed,))
    return write_results(tmp_path, replace(posterior, facts=facts))


def test_all_files_and_keys(tmp_path, make_posterior, run_facts):
    record = record_provenance("phylogfn", parameters={}, seed=1, threads=2)
    facts = replace(run_facts, provenance=record)
    posterior = make_posterior(
        known=KnownTopologies(np.float64(0.5), 0.1, 0.01),
        searches=SearchFacts(SearchAgreement(1.0, 0.99, 0.01, 0.0, 0.0), 20, 19),
        branch_length_weights=BranchLengthFacts(
            100, 40.0, 0.3, 0.2, ClosedFormFacts(-6489.2, 0.01, 0.2, 0.02, 0.9)
        ),
        training=TrainingFacts(
            "insertion", "collapsed", 1.0, 5000, 300, 180, 3, {"policy": 1.23456}, 0.9
        ),
        facts=facts,
    )
    write_results(tmp_path, posterior)
    by_the_run = {"run.toml", "train.jsonl", "tensorboard", "checkpoint"}
    by_the_run |= {"ancestral.tsv", "ancestral.fasta", "models.tsv"}  # where they are asked for
    of_more_runs = {name for name in OUTPUT_NAMES if re.search("run[3-9]", name)}
    expected = set(OUTPUT_NAMES) - by_the_run - of_more_runs
    assert {path.name for path in tmp_path.iterdir()} == expected
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [key for key in summary if key in SUMMARY_KEYS] == SUMMARY_KEYS
    assert list(summary["extra"]) == FURTHER_KEYS
    assert summary["extra"]["effective_share_of_draws"] == 0.4
    assert summary["extra"]["known_share"] == 0.5 and summary["extra"]["scout_hits"] == 19
    assert summary["extra"]["training_seconds_by_part"] == {"policy": 1.235}
    assert json.loads((tmp_path / "provenance.json").read_text())["threads"] == 2


def test_the_same_seed_gives_the_same_bytes(tmp_path, make_posterior, run_facts):
    for name in ("one", "two"):
        write(tmp_path / name, make_posterior(), run_facts)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_no_file_but_the_summary_and_the_report_knows_the_time(tmp_path, make_posterior, run_facts):
    from gfncore.program.provenance import ResourceUse

    write(tmp_path / "one", make_posterior(), run_facts)
    slow = replace(run_facts, use=ResourceUse(999.0, 888.0, 7), command="other command")
    write(tmp_path / "two", make_posterior(), slow)
    differ = {
        path.name
        for path in (tmp_path / "one").iterdir()
        if path.read_bytes() != (tmp_path / "two" / path.name).read_bytes()
    }
    assert differ == {"summary.json", "report.html"}


@pytest.mark.parametrize(
    ("name", "schema", "count"),
    [
        ("trees.nwk", "newick", 40),
        ("consensus.nwk", "newick", 1),
        ("consensus.con.tre", "nexus", 1),
        ("posterior.run1.t", "nexus", 20),
        ("posterior.run2.t", "nexus", 20),
        ("posterior.trprobs", "nexus", 4),
    ],
)
def test_tree_files_are_read_by_others(tmp_path, make_posterior, run_facts, name, schema, count):
    posterior = make_posterior()
    write(tmp_path, posterior, run_facts)
    text = (tmp_path / name).read_text()
    bio = list(Phylo.parse(io.StringIO(text), schema))
    assert len(bio) == count
    assert {leaf.name for leaf in bio[0].get_terminals()} == set(posterior.names)
    dendro = dendropy.TreeList.get(data=text, schema=schema, preserve_underscores=True)
    assert len(dendro) == count
    assert {taxon.label for taxon in dendro.taxon_namespace} == set(posterior.names)
    if schema == "newick":
        assert set(ete3.Tree(text.splitlines()[0]).get_leaf_names()) == set(posterior.names)
    ours = read_tree_sample(tmp_path / name, posterior.names, burnin=0.0)
    assert len(ours.branches) == count


def test_odd_names_come_back_exactly(tmp_path, make_posterior, run_facts):
    write(tmp_path, make_posterior(names=ODD_NAMES), run_facts)
    for name in sorted(path.name for path in tmp_path.iterdir()):
        if name.endswith((".t", ".trprobs", ".nwk", ".tre", "topologies.tsv")):
            assert read_tree_sample(tmp_path / name).names == tuple(sorted(ODD_NAMES)), name
        if name.endswith((".t", ".trprobs", ".tre")):
            trees = dendropy.TreeList.get(
                path=str(tmp_path / name), schema="nexus", preserve_underscores=True
            )
            assert {taxon.label for taxon in trees.taxon_namespace} == set(ODD_NAMES)


def test_draws_read_back_exactly(tmp_path, make_posterior, run_facts):
    posterior = make_posterior()
    write(tmp_path, posterior, run_facts)
    sample = read_tree_sample(tmp_path / "trees.nwk", posterior.names)
    for branches, lengths in zip(sample.branches, posterior.draw_lengths, strict=True):
        assert branches[1 << 5] == lengths[5]
        assert sum(branches.values()) == pytest.approx(lengths.sum())


def test_topologies_table(tmp_path, make_posterior, run_facts):
    posterior = make_posterior()
    write(tmp_path, posterior, run_facts)
    lines = (tmp_path / "topologies.tsv").read_text().splitlines()
    columns = ["rank", "probability", "probability_se", "cumulative", "log_evidence", "newick"]
    assert lines[0].split("\t") == columns
    rows = [line.split("\t") for line in lines[1:]]
    assert [float(row[1]) for row in rows] == pytest.approx(posterior.topology_probabilities)
    assert {row[2] for row in rows} == {"NA"}
    assert float(rows[-1][3]) == pytest.approx(1.0)
    sample = read_tree_sample(tmp_path / "topologies.tsv", posterior.names)
    assert sample.weights == pytest.approx(posterior.topology_probabilities)


def test_parameter_files_match_the_tree_files(tmp_path, make_posterior, run_facts):
    posterior = make_posterior()
    write(tmp_path, posterior, run_facts)
    for run in (1, 2):
        head, columns, *rows = (tmp_path / f"posterior.run{run}.p").read_text().splitlines()
        assert head.startswith("[ID: ")
        assert columns.split("\t") == ["Gen", "LnL", "LnPr", "TL"]
        sample = read_tree_sample(tmp_path / f"posterior.run{run}.t", burnin=0.0)
        for row, branches in zip(rows, sample.branches, strict=True):
            assert float(row.split("\t")[3]) == pytest.approx(sum(branches.values()), rel=1e-6)


def test_runs_are_equal_in_size_and_disjoint():
    one, two = split_runs(11, np.random.default_rng(0))
    assert len(one) == len(two) == 5
    assert not set(one) & set(two)


def test_four_taxa_and_one_draw(tmp_path, make_posterior, run_facts):
    posterior = make_posterior(names=("a", "b", "c", "d"), n_draws=1, n_topologies=1)
    summary = write(tmp_path, posterior, run_facts)
    assert summary["n_topologies"] == 1


def test_numbers_that_json_lacks_become_null(tmp_path, make_posterior, run_facts):
    write(tmp_path, make_posterior(pareto_k=float("nan")), run_facts)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["pareto_k"] is None
    assert summary["warning_codes"] == ["undefined-pareto-k"]


def test_no_number_has_more_digits_than_its_error(tmp_path, make_posterior, run_facts):
    posterior = make_posterior(
        names=("a", "b", "c", "d"),
        n_topologies=3,
        topology_probabilities=np.array([0.929034, 0.0707342, 0.000231817]),
        topology_errors=np.array([0.0123, 0.0121, 0.0000234]),
        log_evidence=-6489.123456789,
        log_evidence_se=0.012345678,
        known=KnownTopologies(1.0),
    )
    summary = write(tmp_path, posterior, run_facts)
    assert summary["log_evidence"] == -6489.1235 and summary["log_evidence_se"] == 0.0123
    rows = [x.split("\t") for x in (tmp_path / "topologies.tsv").read_text().splitlines()[1:]]
    assert [row[1] for row in rows] == ["0.929", "0.071", "0.000232"]
    assert [row[2] for row in rows] == ["0.012", "0.012", "2.3e-05"]
    assert [row[3] for row in rows] == ["0.929", "1.000", "1.000"]
    assert [len(row[4].split(".")[1]) for row in rows] == [3, 2, 2]
    text = (tmp_path / "posterior.trprobs").read_text()
    assert "[p = 0.929, P = 0.929] = [&W 0.929]" in text
    # tiny probabilities, and one that is known exactly
    posterior = replace(
        posterior,
        topology_probabilities=np.array([1.0 - 3.2e-9, 3.2e-9, 0.0]),
        topology_errors=np.array([4e-10, 4e-10, 0.0]),
    )
    write(tmp_path / "b", posterior, run_facts)
    rows = [x.split("\t") for x in (tmp_path / "b/topologies.tsv").read_text().splitlines()[1:]]
    assert [row[1] for row in rows] == ["0.99999999680", "3.20e-09", "0"]
    weights = read_tree_sample(tmp_path / "b/posterior.trprobs", posterior.names).weights
    assert weights == pytest.approx([1.0 - 3.2e-9, 3.2e-9, 0.0], abs=1e-10)


def test_supports_are_rounded_to_their_error(tmp_path, make_posterior, run_facts):
    p = np.array([0.929034, 0.050737, 0.020229])
    posterior = make_posterior(
        names=("a", "b", "c", "d"),
        n_topologies=3,
        topology_probabilities=p,
    )
    supports = split_supports(posterior.topology_parents, p)
    known = np.array(list(supports.values()))
    estimated = SplitProbabilities(tuple(supports), known, np.full(len(known), 0.0012))
    posterior = replace(posterior, split_probabilities=estimated)
    write(tmp_path, posterior, run_facts)
    text = (tmp_path / "consensus.nwk").read_text()
    supports = re.findall(r"\)([0-9.]+):", text)
    assert len(supports) == 1 and len(supports[0]) <= len("0.9290")


def test_the_files_of_a_failed_run_say_so_and_are_read_by_others(
    tmp_path, make_posterior, run_facts
):
    names = ("Bufo_valliceps", "Pan", "k1", "e_f", "Pongo", "plain")
    posterior = make_posterior(
        ess=1.1, log_evidence_se=np.inf, topology_errors=np.full(4, np.nan), names=names
    )
    summary = write(tmp_path, posterior, run_facts)
    assert summary["verdict"] == "failed" and summary["warning_codes"][0] == "failed"
    assert json.loads((tmp_path / "summary.json").read_text())["log_evidence_se"] is None
    for name, schema in (
        ("trees.nwk", "newick"),
        ("consensus.nwk", "newick"),
        ("consensus.con.tre", "nexus"),
        ("posterior.run1.t", "nexus"),
        ("posterior.trprobs", "nexus"),
    ):
        text = (tmp_path / name).read_text()
        assert "The run failed" in text, name
        n = len(list(Phylo.parse(io.StringIO(text), schema)))
        trees = dendropy.TreeList.get(data=text, schema=schema, preserve_underscores=True)
        assert len(trees) == n > 0
        assert {taxon.label for taxon in trees.taxon_namespace} == set(names)
        ours = read_tree_sample(tmp_path / name, posterior.names, burnin=0.0)
        assert len(ours.branches) == n
        if schema == "newick":
            for line in text.splitlines():
                assert "The run failed" in line
                assert len(ete3.Tree(line, quoted_node_names=True)) == len(names)
    for name in ("consensus.nwk", "consensus.con.tre"):
        tree = dendropy.Tree.get(
            path=str(tmp_path / name), schema="newick" if name.endswith("nwk") else "nexus"
        )
        assert all(node.label is None for node in tree.internal_nodes())
    inner = (tmp_path / "consensus.con.tre").read_text().split("[&U] ")[1]
    assert ")[&prob" not in inner
    table = (tmp_path / "topologies.tsv").read_text().splitlines()
    assert {line.split("\t")[2] for line in table[1:]} == {"NA"}
    page = (tmp_path / "report.html").read_text()
    assert "The run failed: no clade probabilities are shown" in page
    assert "\u00b1 inf" not in page and "nan" not in page.lower().replace("nanometre", "")


def test_names_that_differ_in_blank_and_underscore_alone_are_quoted_in_every_file():
    names = ("a b", "a_b", "c_d", "e")
    assert with_names("(1,2,(3:0.1,4));", names) == "('a b','a_b',(c_d:0.1,e));"
    text = mrbayes_trees(names, ["(1,2,(3,4));"])
    for line in ("1 'a b',", "2 'a_b',", "3 c_d,", "4 e;"):
        assert f"      {line}\n" in text
