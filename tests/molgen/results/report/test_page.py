"""The report: one HTML file that needs nothing else."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from rdkit import Chem

from gfncore.program.messages import Note
from molgen.molecules.diversity import find_modes
from molgen.results.facts import ScoringFacts
from molgen.results.files import summarise
from molgen.results.report.charts import draw_distributions
from molgen.results.report.drawing import draw_molecule
from molgen.results.report.page import render_report

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Checker(HTMLParser):
    """Follows the nesting of elements."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.references = [], [], []

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


def render(library, facts, training=None):
    modes = find_modes(library.fingerprints, library.reward, least_score=facts.mode_score)
    summary = summarise(library, facts, modes)
    return render_report(library, summary, facts, modes, training=training)


@pytest.fixture
def training(tmp_path):
    path = tmp_path / "train.jsonl"
    rows = [{"seconds": i, "log_z": 3 - 1 / (1 + i), "loss": 1 / (i + 1)} for i in range(9)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.mark.parametrize("n_objectives", [1, 2, 3])
def test_is_well_formed_and_needs_no_network(make_library, run_facts, training, n_objectives):
    html = render(make_library(n_objectives=n_objectives), run_facts, training)
    checker = Checker()
    checker.feed(html)
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert set(checker.references) <= set(checker.ids)
    assert not re.search(r"<(script|link|img|iframe)|\bsrc=|url\(|@import", html)
    drawings = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(drawings) > 8
    for svg in drawings:
        ElementTree.fromstring(svg)
        assert 'role="img"' in svg and "aria-label=" in svg


def test_says_what_matters(make_library, run_facts, training):
    html = render(make_library(), run_facts, training)
    for words in (
        "All checks passed",
        "± 0.020",
        "drawn in proportion to the score",
        "Course of the run",
        "Can the result be trusted?",
        "c1ccccc1",
        "ln partition function",
        "Quantifying the chemical beauty",
        "molgen cite",
        "training steps",
    ):
        assert words in html
    assert "Pareto front" not in html


def test_warnings_come_first_and_are_escaped(make_library, run_facts):
    facts = dataclasses.replace(
        run_facts, warnings=(Note("look", "Look <out>."),), score="<b>mine</b>"
    )
    html = render(make_library(), facts)
    assert "Look &lt;out&gt;." in html and "<b>mine" not in html
    assert html.index("Before you trust this result") < html.index('id="molecules"')
    assert "All checks passed" not in html
    assert "Course of the run" not in html  # no train.jsonl


def test_front_is_shown(make_library, run_facts):
    html = render(make_library(n_objectives=2, objective_names=("potency", "qed")), run_facts)
    assert "Pareto front" in html and "pareto.csv" in html
    assert html.count('class="marked"') >= 2
    assert "qed against potency" in html


def test_order_preserving_runs_promise_no_probabilities(make_library, run_facts):
    facts = dataclasses.replace(
        run_facts, objective="order_preserving", reward_exponent=64.0, order_temperature=0.125
    )
    html = render(make_library(), facts)
    assert "drawn by the rank of their scores" in html
    assert "by rank, at temperature 0.125" in html and "to the power" not in html
    assert "Log partition" not in html and "Effective sample size" not in html


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_figures_that_are_not_known_do_not_break_it(make_library, run_facts, value):
    facts = dataclasses.replace(run_facts, log_partition=value, log_partition_se=value, ess=value)
    library = make_library(reward=[np.nan] * 8, log_probability=np.full(8, np.nan))
    html = render(library, facts)
    assert "unknown" in html and "caution" in html
    Checker().feed(html)


@pytest.mark.parametrize(("floored", "verdict"), [(10, "good"), (8000, "caution")])
def test_scores_of_zero_are_told(make_library, run_facts, floored, verdict):
    scoring = ScoringFacts(at_reward_floor=floored)
    html = render(make_library(), dataclasses.replace(run_facts, scoring=scoring))
    row = html.split("Scores of zero</th>")[1].split("</tr>")[0]
    assert f"{floored:,} of 9,000" in row and f">{verdict}<" in row


def test_a_large_library_stays_small(make_library, run_facts):
    smiles = [f"{'C' * i}c1ccc(N{'C' * j})cc1" for i in range(1, 40) for j in range(1, 40)]
    html = render(make_library(smiles), run_facts)
    assert len(html.encode()) < 1_000_000


def test_drawing_has_letters_in_their_colours_and_a_label():
    svg = draw_molecule(Chem.MolFromSmiles("O=C([O-])c1ccc(Br)nc1"), "a <label>")
    ElementTree.fromstring(svg)
    assert "a &lt;label&gt;" in svg
    assert re.search(r'<text class="a-o"[^>]*>O</text>', svg)
    assert re.search(r'<text class="a-br"[^>]*>Br</text>|<text class="a-br"[^>]*>B</text>', svg)
    assert "\u2212" in svg  # the charge
    assert 'class="a-c"' in svg and 'class="a-n"' in svg
    assert "#" not in svg  # colours are those of the page
    assert len(svg) < 6000


def test_stereo_wedges_are_filled():
    svg = draw_molecule(Chem.MolFromSmiles("C[C@H](F)c1ccccc1"), "x")
    assert 'area"' in svg


def test_what_cannot_be_drawn_is_left_empty():
    svg = draw_molecule(None, "none")
    ElementTree.fromstring(svg)
    assert "<path" not in svg


def test_the_best_molecules_scored_are_shown(make_library, run_facts):
    library = make_library()
    best = ((library.smiles[0], 0.99), ("CCCCCCCl", 0.98))
    html = render(library, dataclasses.replace(run_facts, best_scored=best))
    section = html.split('id="best-scored"')[1].split("</section>")[0]
    assert "CCCCCCCl" in section and "scored.csv" in section
    assert section.count("<span>in the library") == 1
    assert section.count("<span>not in the library") == 1


def test_lipophilicity_is_not_what_a_log_is_taken_for(make_library, run_facts):
    html = render(make_library(), run_facts)
    assert "ln probability" in html and "ln partition function" in html
    assert not re.search(r"log p\b|log partition|log probability", html, re.IGNORECASE)


def test_an_example_of_each_failure_is_shown(make_library, run_facts):
    facts = dataclasses.replace(
        run_facts,
        failures={"mine: raised ValueError": 3},
        failure_examples={"mine: raised ValueError": "CCO: <215>"},
    )
    html = render(make_library(), facts)
    assert "mine: raised ValueError, for example CCO: &lt;215&gt;" in html
    assert "mine: raised ValueError: 3, for example CCO: &lt;215&gt;" in html  # the warning


def test_a_component_called_score_hides_no_figure(make_library):
    library = make_library()
    odd = {"score": library.reward * 100, "logP (Crippen)": library.reward, "qed": library.reward}
    renamed = dataclasses.replace(library, components=odd)
    assert len(draw_distributions(renamed)) == len(draw_distributions(library)) + 1
