"""The report: one HTML file that needs nothing else."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from gfncore.program.messages import Note
from phylogfn.results.facts import KnownTopologies
from phylogfn.results.posterior_data import split_table
from phylogfn.results.posterior_files import summarise
from phylogfn.results.report.posterior_page import render_report
from phylogfn.results.report.tree_figure import draw_tree
from phylogfn.results.warnings import posterior_warnings
from phylogfn.sequences.predictive import PredictiveCheck, PredictiveChecks
from phylogfn.trees.consensus import consensus_tree
from phylogfn.trees.splits import SplitTable

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Checker(HTMLParser):
    """Follows the nesting of elements."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.references, self.words = [], [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if "id" in values:
            self.ids.append(values["id"])
        if "aria-labelledby" in values:
            self.references.append(values["aria-labelledby"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def render(posterior, facts, training=None):
    return render_report(posterior, summarise(posterior, facts), facts, training=training)


@pytest.fixture
def training(tmp_path):
    path = tmp_path / "train.jsonl"
    rows = [
        {"seconds": i, "log_evidence": -6490 + i / 9, "log_evidence_se": 0.1, "loss": 1 / (i + 1)}
        for i in range(9)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows) + '\n{"seconds": 9, "lo')
    return path


def test_is_well_formed_and_needs_no_network(make_posterior, run_facts, training):
    html = render(make_posterior(), run_facts, training)
    checker = Checker()
    checker.feed(html)
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert set(checker.references) <= set(checker.ids)
    assert not re.search(r"<(script|link|img|iframe)|\bsrc=|url\(|@import", html)
    assert len(html.encode()) < 1_000_000
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(svg)
        assert 'role="img"' in svg and "aria-label=" in svg


def test_says_what_matters(make_posterior, run_facts, training):
    html = render(make_posterior(), run_facts, training)
    for words in (
        "\u22126,489.00",
        "± 0.020",
        "primates.fasta",
        "Homo_sapiens",
        "Verdict: unconfirmed",
        "Course of the run",
        "PhyloGFN",
        "JC69",
        "substitutions per site",
    ):
        assert words in html


def test_warnings_come_first(make_posterior, run_facts):
    html = render(make_posterior(pareto_k=0.95, warnings=(Note("look", "Look <out>."),)), run_facts)
    assert "Look &lt;out&gt;." in html
    assert html.index("Verdict: doubtful") < html.index("Consensus tree</h2>")
    assert (
        html.index("Pareto k = 0.95") < html.index("Remarks on this run") < html.index("Look &lt")
    )
    assert "Course of the run" not in html  # no train.jsonl


@pytest.mark.parametrize(("n_remarks", "opened"), [(4, True), (5, False)])
def test_many_remarks_are_folded(make_posterior, run_facts, n_remarks, opened):
    remarks = tuple(Note("look", f"Look {i}.") for i in range(n_remarks))
    html = render(make_posterior(pareto_k=0.95, warnings=remarks), run_facts)
    assert f"Remarks on this run ({n_remarks})" in html and html.count("Look ") == n_remarks
    assert ("<details open>" in html) == opened


@pytest.mark.parametrize(("lost", "verdict"), [(3.2, "caution"), (0.2, "good")])
def test_lost_modes_are_a_check_of_their_own(make_posterior, run_facts, lost, verdict):
    html = render(make_posterior(known=KnownTopologies(divergence=lost)), run_facts)
    row = html.split("Known topologies in the sampler</th>")[1].split("</tr>")[0]
    assert f"{lost:.2f} nats" in row and f">{verdict}<" in row
    assert ("too little probability to some of the topologies" in html) == (verdict == "caution")


@pytest.mark.parametrize(("p_value", "fits"), [(0.4, True), (0.0, False), (0.9999, False)])
def test_posterior_predictive_checks_have_a_section(make_posterior, run_facts, p_value, fits):
    assert "Posterior predictive checks" not in render(make_posterior(), run_facts)
    checks = (
        PredictiveCheck("composition", 43.91, 12.2, 5.9, 21.9, p_value, 1000),
        PredictiveCheck(
            "multinomial_log_likelihood", -4184.8, -4190.0, -4230.0, -4150.0, 0.45, 1000
        ),
    )
    posterior = make_posterior(predictive=PredictiveChecks(checks, 1000))
    html = render(posterior, run_facts)
    row = html.split("Composition of the sequences</th>")[1].split("</tr>")[0]
    assert "43.91" in row and "12.2 (5.9 to 21.9)" in row
    assert ("does not fit" in row) is not fits
    assert {0.4: "0.400", 0.0: "<\u00a00.001", 0.9999: ">\u00a00.999"}[p_value] in row.replace(
        "&lt;", "<"
    ).replace("&gt;", ">")
    assert "\u22124,185" in html and "1,000 alignments" in html
    words = "differs between taxa"
    assert any(words in warning for warning in posterior_warnings(posterior)) is not fits
    assert posterior.verdict == ("unconfirmed" if fits else "doubtful")


def test_names_are_escaped(make_posterior, run_facts):
    names = ("<b>", "a&b", '"q"', "it's", "e", "f", "g" * 200, "\u00c6")
    html = render(make_posterior(names=names), run_facts)
    assert "<b>" not in html.replace("<b class", "")
    Checker().feed(html)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_figures_that_failed_do_not_break_it(make_posterior, run_facts, value):
    posterior = make_posterior(log_evidence=value, log_evidence_se=value, ess=value, pareto_k=value)
    assert "Verdict: failed" in render(posterior, run_facts)


def test_a_thousand_taxa_stay_small(make_posterior, run_facts):
    names = tuple(f"Genus_species_{i}" for i in range(1000))
    posterior = make_posterior(names=names, n_draws=2, n_topologies=2)
    assert len(render(posterior, run_facts).encode()) < 1_000_000


def test_tree_has_all_names_and_supports(make_posterior):
    posterior = make_posterior(seed=3)
    table = split_table(posterior)
    svg = draw_tree(consensus_tree(table), posterior.names)
    assert all(f">{name}<" in svg for name in posterior.names)
    assert svg.count("<circle") == sum(support > 0.5 for support in table.supports.values())


def test_tree_without_lengths_is_drawn():
    table = SplitTable(tuple("abcde"), {0b00110: 0.9, 0b11000: 0.6}, {}, {})
    svg = draw_tree(consensus_tree(table), table.names)
    ElementTree.fromstring(svg)
    assert ">.90<" in svg and ">.60<" in svg


def test_a_long_caterpillar_is_drawn():
    n = 1500
    names = tuple(f"t{i}" for i in range(n))
    full = (1 << n) - 2
    supports = {full >> i << i: 0.9 for i in range(2, n - 1)}
    lengths = {1 << i: 0.1 for i in range(1, n)} | dict.fromkeys(supports, 0.01) | {full: 0.1}
    svg = draw_tree(consensus_tree(SplitTable(names, supports, lengths, {})), names)
    assert svg.count("<circle") > 1000
