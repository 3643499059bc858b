"""The report of all libraries: one self-contained HTML file."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import snakemake as engine
from markupsafe import Markup
from rdkit import Chem

from gfncore.program.progress import format_duration
from gfncore.program.provenance import software_version
from gfncore.report.histogram import draw_histogram
from gfncore.report.page import citation_rows, in_both_sizes, render_page, signed
from molgen.citations import ALWAYS_CITED, references
from molgen.results.report.drawing import draw_molecule

MOST_DRAWING_BYTES = 2_000_000  # limits the size of the page
DRAWN = 12  # molecules of each library
LARGEST_RATIO = 3.0
FEWEST_EFFECTIVE_DRAWS = 100
NAMES_SHOWN = 3
WORKFLOW_CITATION = (
    "the workflow",
    "M\u00f6lder, F., Jablonski, K. P., Letcher, B. et al. (2021). Sustainable data analysis with "
    "Snakemake. F1000Research 10:33.",
    "https://doi.org/10.12688/f1000research.29032",
)


def number(value: float, decimals: int = 3) -> str:
    """Format a number, or ``n/a`` if it is not finite."""
    return signed(value, decimals) if math.isfinite(value) else "n/a"


def drawn(row: dict[str, Any]) -> dict[str, Any]:
    """Return the drawing and figures of a molecule for the page."""
    label = f"Molecule {row['smiles']}, score {row['reward']:.3f}"
    return {
        "svg": Markup(draw_molecule(Chem.MolFromSmiles(row["smiles"]), label)),
        "smiles": row["smiles"],
        "rank": row["rank"],
        "score": number(row["reward"]),
        "screen": number(row["screen"]) if "screen" in row else "",
        "n_seeds": row["n_seeds"],
    }


def score_parts(libraries: pd.DataFrame, molecules: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the part of the page for each score; molecules are drawn up to a limit of size."""
    parts, size = [], 0
    for row in libraries.to_dict("records"):
        library = molecules[molecules["score"] == row["score"]]
        best = library.head(DRAWN) if size < MOST_DRAWING_BYTES else library.head(0)
        grid = [drawn(molecule) for molecule in best.to_dict("records")]
        size += sum(len(molecule["svg"]) for molecule in grid)
        parts.append(
            {
                **row,
                "best": number(row["best"]),
                "top": number(row["top10_mean"]),
                "mean": number(row["mean"]),
                "partition": f"{number(row['log_partition'], 2)} \u00b1 "
                f"{number(row['log_partition_se'], 2)}",
                "shared": f"{100 * row['shared_by_seeds']:.1f} %"
                if math.isfinite(row["shared_by_seeds"])
                else "n/a",
                "counts": list(json.loads(row["counts"]).items()),
                "grid": grid,
                "histogram": in_both_sizes(
                    lambda width, height, values=tuple(library["reward"]): draw_histogram(
                        values, x_label="score", y_label="molecules", width=width, height=height
                    )
                ),
            }
        )
    return parts


def run_names(rows: pd.DataFrame, total: int) -> str:
    """Return the names of the runs with a warning, or their number."""
    if len(rows) == total and total > 1:
        return f"all {total} runs"
    if len(rows) > NAMES_SHOWN:
        return f"{len(rows)} of {total} runs"
    names = rows["score"] + " seed " + rows["seed"].astype(str)
    return f"run{'s' if len(names) > 1 else ''} {', '.join(names)}"


def page_warnings(runs: pd.DataFrame, libraries: pd.DataFrame) -> list[str]:
    """Return the warnings of the page, the most serious first."""
    said = []
    for row in libraries.to_dict("records"):
        if not row["molecules"]:
            steps = ", ".join(f"{n} {step}" for step, n in json.loads(row["counts"]).items())
            said.append(
                f"score {row['score']}: no molecule passed all steps ({steps}); relax the limits"
            )
        if row["birge_ratio"] > LARGEST_RATIO:
            said.append(
                f"score {row['score']}: the ln partition functions of the seeds differ by "
                f"{row['birge_ratio']:.1f} times their standard errors; give the runs a larger "
                "budget"
            )
    if (libraries["seeds"] == 1).all():
        said.append("there is only one seed, so the agreement of runs cannot be assessed")
    texts = runs["warnings"].fillna("").str.split(" | ", regex=False)
    for text in dict.fromkeys(text for row in texts for text in row if text):
        which = runs[[text in row for row in texts]]
        said.append(f"{run_names(which, len(runs))}: {text}")
    return said


def checks(runs: pd.DataFrame, libraries: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the checks over all runs, each for its worst case."""
    rows = []
    ratio = libraries["birge_ratio"].max()
    if math.isfinite(ratio):
        rows.append(
            {
                "name": "Seeds agree on the partition function (Birge ratio)",
                "value": f"{ratio:.2f}",
                "good": ratio <= LARGEST_RATIO,
                "meaning": "Largest ratio of the observed spread of the ln partition functions of "
                "the seeds to the spread expected from their standard errors; about 1 if the "
                "errors are reliable. If it is above 1, the error of the mean is multiplied by it.",
            }
        )
    least = runs["ess"].min()
    if math.isfinite(least):
        rows.append(
            {
                "name": "Effective sample size",
                "value": f"{least:,.0f}",
                "good": least >= FEWEST_EFFECTIVE_DRAWS,
                "meaning": "Smallest value of all runs. A small value means that the sampling "
                "probabilities of molecules are inaccurate; their scores are not affected.",
            }
        )
    failed = int(runs["failures"].sum())
    rows.append(
        {
            "name": "Failed scores",
            "value": f"{failed:,}",
            "good": failed == 0,
            "meaning": f"Of {runs['oracle_calls'].sum():,} scored molecules. Molecules with a "
            "failed score are left out.",
        }
    )
    return rows


def cards(runs: pd.DataFrame, libraries: pd.DataFrame) -> list[dict[str, str]]:
    """Return the key figures."""
    return [
        {"label": "Scores", "value": f"{len(libraries):,}", "note": f"{len(runs):,} runs"},
        {
            "label": "Molecules",
            "value": f"{libraries['molecules'].sum():,}",
            "note": "in the libraries, ranked",
        },
        {
            "label": "Scored",
            "value": f"{runs['oracle_calls'].sum():,}",
            "note": "molecules, all runs",
        },
        {
            "label": "Run time",
            "value": format_duration(runs["wall_seconds"].sum()),
            "note": "all runs together",
        },
    ]


def run_rows(runs: pd.DataFrame, settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the settings of the runs as rows of text."""
    sample, library = settings["sample"], settings["library"]
    return [
        ("Seeds", ", ".join(map(str, settings["seeds"]))),
        *((name.replace("_", " ").capitalize(), str(value)) for name, value in sample.items()),
        *((f"Library: {name.replace('_', ' ')}", str(value)) for name, value in library.items()),
        ("Largest memory of a run", f"{runs['peak_memory_bytes'].max() / 2**20:,.0f} MiB"),
        ("Programs", f"molgen {software_version()}, Snakemake {engine.__version__}"),
    ]


def main(snakemake: Any) -> None:
    """Write the page."""
    runs = pd.read_csv(snakemake.input.runs, sep="\t", dtype={"score": str})
    libraries = pd.read_csv(snakemake.input.libraries, sep="\t", dtype={"score": str})
    types = {"score": str, "smiles": str, "scaffold": str, "seeds": str}
    molecules = pd.read_csv(snakemake.input.molecules, dtype=types)
    n_scores = len(libraries)
    values = {
        "program": "molgen",
        "name": f"Libraries of {n_scores} score{'s' if n_scores > 1 else ''}",
        "cards": cards(runs, libraries),
        "warnings": page_warnings(runs, libraries),
        "scores": score_parts(libraries, molecules),
        "n_seeds": runs["seed"].nunique(),
        "checks": checks(runs, libraries),
        "table": [
            {
                **row,
                "partition": f"{number(row['log_partition'], 2)} \u00b1 "
                f"{number(row['log_partition_se'], 2)}",
                "top": number(row["top10_mean"]),
                "mean": number(row["mean_score"]),
                "diversity": number(row["internal_diversity"], 2),
                "draws": number(row["ess"], 0),
                "time": format_duration(row["wall_seconds"]),
            }
            for row in runs.to_dict("records")
        ],
        "curves": [],
        "run": run_rows(runs, snakemake.params.settings),
        "extra": [],
        "citations": [*citation_rows(references(ALWAYS_CITED).values()), WORKFLOW_CITATION],
    }
    template = Path(snakemake.scriptdir) / "page.html.jinja"
    Path(snakemake.output[0]).write_text(render_page(template, values), encoding="utf-8")


if "snakemake" in globals():
    sys.stderr = open(globals()["snakemake"].log[0], "w", buffering=1, encoding="utf-8")
    main(globals()["snakemake"])
