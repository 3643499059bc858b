"""The report of a run of ``molgen sample``: one self-contained HTML file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from rdkit import Chem

from gfncore.objectives.registry import find_objective
from gfncore.report.page import (
    citation_rows,
    curve_drawings,
    extra_rows,
    render_page,
    resource_rows,
    signed,
)
from molgen.citations import references
from molgen.molecules.diversity import MODE_SIMILARITY, Modes
from molgen.results.columns import LEAST_EFFECTIVE_SHARE, LibraryColumns, front_rows
from molgen.results.facts import RunFacts
from molgen.results.report.charts import draw_distributions, draw_fronts
from molgen.results.report.drawing import draw_molecule
from molgen.results.report.exponents import (
    agreement_charts,
    conditioning_row,
    exponent_checks,
    exponent_rows,
    exponent_text,
)
from molgen.results.report.grid import diverse_rows, molecule_row

__all__ = ["render_report"]

_DRAWN = 24  # molecules in the grid
_SCAFFOLDS_SHOWN = 10
_FRONT_SHOWN = 8
_BEST_SHOWN = 4
_FEWEST_EFFECTIVE_DRAWS = 100
_LARGEST_ERROR = 0.1
_CURVES = {
    "best_score": "best score so far",
    "n_modes": "modes among the 1,000 best molecules so far",
    "log_partition": "ln partition function (nats)",
    "ess": "effective sample size (draws)",
    "oracle_calls": "molecules scored",
    "mean_log_reward": "mean ln reward of drawn molecules (nats)",
    "log_z": "ln partition function, learned (nats)",
    "loss": "training loss",
    "trajectories_per_second": "training trajectories per second",
    "steps_per_second": "training steps per second",
}
_SYMMETRY_WORDS = {
    "merged": "equivalent actions merged",
    "reward_scaling": "corrected by scaling the reward",
    "flow_scaling": "corrected by scaling the flow",
    "none": "not corrected",
}


def render_report(
    library: LibraryColumns,
    summary: dict[str, Any],
    facts: RunFacts,
    modes: Modes,
    *,
    training: Path | None = None,
) -> str:
    """Render the report and return its HTML text.

    Parameters
    ----------
    library : LibraryColumns
        Result of the run.
    summary : dict
        Content of ``summary.json``; its warnings are shown first.
    facts : RunFacts
        Further facts about the run.
    modes : Modes
        The modes of the library.
    training : Path, optional
        ``train.jsonl``; if it is missing the report has no curves.
    """
    proportional = not find_objective(facts.objective).orders
    values = {
        "program": "molgen",
        "s": summary,
        "name": facts.score,
        "cards": _cards(summary, proportional),
        "warnings": summary["warnings"],
        "grid": diverse_rows(library, _DRAWN),
        "best_scored": _best_scored_rows(library, facts),
        "similarity": MODE_SIMILARITY,
        "modes": _mode_rows(library, modes),
        "scaffolds": _scaffold_rows(library),
        "acyclic": sum(not scaffold for scaffold in library.scaffold),
        "distributions": draw_distributions(library),
        "agreement": agreement_charts(library, facts.log_partition) if proportional else [],
        "exponents": exponent_rows(library),
        "fronts": draw_fronts(library),
        "front": _front_table(library),
        "objective_names": library.objective_names,
        "checks": _checks(library, summary, facts, proportional),
        "proportional": proportional,
        "exponent": exponent_text(library, facts.reward_exponent),
        "curves": curve_drawings(training, _CURVES),
        "run": _run_rows(library, summary, facts),
        "extra": extra_rows(summary["extra"]),
        "citations": citation_rows(references(facts.methods).values()),
    }
    return render_page(Path(__file__).with_name("library.html.jinja"), values)


def _cards(summary: dict[str, Any], proportional: bool) -> list[dict[str, str]]:
    cards = [
        ("Molecules", f"{summary['n_unique']:,}", f"distinct; {summary['n_proposals']:,} drawn"),
        (
            "Mean of ten best",
            signed(summary["top10_mean"], 3),
            f"mean of all {signed(summary['mean_score'], 3)}",
        ),
        (
            "Diversity",
            signed(summary["internal_diversity"], 2),
            f"{summary['n_scaffolds']:,} scaffolds",
        ),
        ("Modes", f"{summary['n_modes']:,}", f"with score {summary['mode_score']:g} or more"),
        (
            "Scored",
            f"{summary['oracle_calls']:,}",
            f"{sum(summary['oracle_failures'].values()):,} failed",
        ),
        ("Valid", _percent(summary["validity"]), "of the drawn molecules"),
    ]
    if proportional and not math.isnan(summary["reward_exponent"]):
        se = summary["log_partition_se"]
        error = f"\u00b1 {se:.3f} (standard error)" if math.isfinite(se) else "error unknown"
        cards += [
            ("ln partition function", signed(summary["log_partition"], 2), error),
            (
                "Effective size",
                f"{summary['library_ess']:,.0f}",
                f"of {summary['n_unique']:,} molecules",
            ),
        ]
    return [{"label": label, "value": value, "note": note} for label, value, note in cards]


def _best_scored_rows(library: LibraryColumns, facts: RunFacts) -> list[dict[str, Any]]:
    """Return the best of all scored molecules with their drawings."""
    there = set(library.smiles)
    rows = []
    for smiles, score in facts.best_scored[:_BEST_SHOWN]:
        label = f"Molecule {smiles}, score {signed(score, 3)}"
        drawing = draw_molecule(Chem.MolFromSmiles(smiles), label)
        rows.append(
            {
                "svg": Markup(drawing),
                "smiles": smiles,
                "score": signed(score, 3),
                "in_library": smiles in there,
            }
        )
    return rows


def _mode_rows(library: LibraryColumns, modes: Modes) -> dict[str, Any]:
    total = int(modes.members.sum()) if len(modes) else 0
    return {
        "n": len(modes),
        "molecules": total,
        "largest": int(modes.members.max()) if len(modes) else 0,
        "share": _percent(total / len(library)) if len(library) else "n/a",
    }


def _scaffold_rows(library: LibraryColumns) -> list[dict[str, Any]]:
    best: dict[str, float] = {}
    for scaffold, reward in zip(library.scaffold, library.reward.tolist(), strict=True):
        best.setdefault(scaffold, reward)  # the library is sorted, best first
    rows = []
    for smiles, count in list(library.scaffold_counts().items())[:_SCAFFOLDS_SHOWN]:
        drawing = draw_molecule(
            Chem.MolFromSmiles(smiles), f"Scaffold {smiles}", width=170, height=96
        )
        rows.append(
            {
                "svg": Markup(drawing),
                "smiles": smiles,
                "count": count,
                "best": signed(best[smiles], 3),
            }
        )
    return rows


def _front_table(library: LibraryColumns) -> list[dict[str, Any]]:
    if library.n_objectives < 2:
        return []
    rows = front_rows(library)
    order = np.argsort(-library.objectives[rows, 0], kind="stable")
    shown = rows[order][np.unique(np.linspace(0, len(rows) - 1, _FRONT_SHOWN).astype(int))]
    return [
        molecule_row(library, row)
        | {"values": [signed(float(value), 3) for value in library.objectives[row]]}
        for row in shown.tolist()
    ]


def _checks(
    library: LibraryColumns, summary: dict[str, Any], facts: RunFacts, proportional: bool
) -> list[dict[str, Any]]:
    failed = sum(facts.failures.values())
    checks = [
        {
            "good": summary["validity"] == 1.0,
            "name": "Valid molecules",
            "value": _percent(summary["validity"]),
            "meaning": "Share of the drawn molecules that RDKit can read and sanitise.",
        },
        {
            "good": failed == 0,
            "name": "Failed scores",
            "value": f"{failed:,} of {facts.oracle_calls:,}",
            "meaning": "Molecules whose score could not be computed are left out of the library; "
            "in training their score is 0." + _examples(facts),
        },
    ]
    floored = facts.scoring.at_reward_floor
    if floored:
        checks.append(
            {
                "good": floored < 0.5 * facts.oracle_calls,
                "name": "Scores of zero",
                "value": f"{floored:,} of {facts.oracle_calls:,}",
                "meaning": "Molecules whose score is 0 or could not be computed are not part of "
                "the target distribution; training learns little if most molecules are of this "
                "kind.",
            }
        )
    if not proportional:
        return checks
    if library.samples:
        return checks + exponent_checks(library)
    ess, se = summary["ess"], summary["log_partition_se"]
    share = ess / facts.n_proposals if facts.n_proposals else math.nan
    effective = library.effective_share
    checks += [
        {
            "good": effective >= LEAST_EFFECTIVE_SHARE,
            "name": "Effective size of the library",
            "value": f"{library.effective_size:,.0f} ({_percent(effective)})"
            if math.isfinite(effective)
            else "unknown",
            "meaning": "Number of molecules drawn from the target distribution that contain as "
            "much information as the library with its column weight.",
        },
        {
            "good": ess >= _FEWEST_EFFECTIVE_DRAWS,
            "name": "Effective sample size of the draws",
            "value": f"{ess:,.0f} ({_percent(share)})" if math.isfinite(ess) else "unknown",
            "meaning": "Number of independent draws from the target distribution that contain as "
            "much information as the weighted draws.",
        },
        {
            "good": se <= _LARGEST_ERROR,
            "name": "Error of the ln partition function",
            "value": f"{se:.3f}" if math.isfinite(se) else "unknown",
            "meaning": "Standard error of the logarithm of the summed reward of all molecules that "
            "can be built.",
        },
    ]
    if (control := facts.control) is not None:
        checks.append(
            {
                "good": not control.sampler_misses,
                "name": "Local changes towards molecules drawn too rarely",
                "value": f"{_percent(control.rising)} \u00b1 {_percent(control.standard_error)}"
                if control.n_changed
                else "nothing changed",
                "meaning": f"{control.n_molecules:,} molecules of the library were changed in "
                f"{control.n_rounds} rounds that leave the target distribution as it is. Half of "
                "the changes are expected to lead to a larger ratio of reward and probability; "
                "more do so if the sampler draws some kinds of molecules too rarely.",
            }
        )
    known = np.isfinite(library.log_probability + library.log_reward)
    if known.sum() > 2:
        rest = library.log_probability[known] - library.log_reward[known]
        spread = float(np.std(rest))
        checks.append(
            {
                "good": spread <= 1.0,
                "name": "Probability against reward",
                "value": f"\u00b1 {spread:.2f} nats",
                "meaning": "Standard deviation of ln probability \u2212 ln reward over the "
                "molecules; 0 for a perfect sampler.",
            }
        )
    return checks


def _examples(facts: RunFacts) -> str:
    """Return one example of each reason for failed scores."""
    told = [f"{reason}, for example {text}" for reason, text in facts.failure_examples.items()]
    return f" {'; '.join(told[:5])}." if told else ""


def _run_rows(
    library: LibraryColumns, summary: dict[str, Any], facts: RunFacts
) -> list[tuple[str, str]]:
    if facts.order_temperature is not None:  # only ranks matter, which no power changes
        how = f", by rank, at temperature {facts.order_temperature:g}"
    else:
        exponent = exponent_text(library, facts.reward_exponent)
        how = "" if exponent == "1" else f", to the power {exponent}"
    objective = find_objective(facts.objective).title
    if facts.sub_trajectory_lambda is not None:
        objective += f", \u03bb = {facts.sub_trajectory_lambda:g}"
    return [
        ("Score", f"{facts.score}{how}"),
        *conditioning_row(facts.conditioning),
        ("Built from", facts.environment),
        ("Symmetry", _SYMMETRY_WORDS.get(facts.symmetry, facts.symmetry)),
        ("Training objective", objective),
        ("Molecules scored", f"{facts.oracle_calls:,}"),
        *resource_rows(facts.use, facts.budget_seconds),
        ("Seed", str(facts.seed)),
        ("Program", f"molgen {summary['version']}"),
        ("Command", facts.command),
    ]


def _percent(share: float) -> str:
    if not math.isfinite(share):
        return "n/a"
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + "\u00a0%"
