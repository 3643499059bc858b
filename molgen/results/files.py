"""The files that ``molgen sample`` writes.

Times, memory and the command line occur only in ``summary.json``, ``provenance.json`` and the
report: all other files are byte-identical for the same settings and seed.
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdDepictor

from gfncore.files import write_atomic
from gfncore.program.messages import Note
from gfncore.program.output import json_text, staged_output
from gfncore.program.provenance import software_version
from molgen.molecules.diversity import Modes, find_modes, internal_diversity
from molgen.results.columns import LibraryColumns, front_rows
from molgen.results.facts import RunFacts
from molgen.results.scored import ScoredMolecules
from molgen.scoring.table import column_names, free_name, score_text

__all__ = [
    "failure_warning",
    "library_sdf",
    "library_smi",
    "library_table",
    "pareto_table",
    "run_warnings",
    "summarise",
    "table_columns",
    "write_results",
]

_REASONS = 5  # of failures, that a warning names


def write_results(
    output: Path,
    library: LibraryColumns,
    facts: RunFacts,
    *,
    scored: ScoredMolecules | None = None,
) -> dict[str, Any]:
    """Write all result files of a run to ``output``, ``summary.json`` last.

    ``run.toml``, ``train.jsonl`` and ``checkpoint/`` are written during the run; the report shows
    ``train.jsonl`` if it exists.

    Parameters
    ----------
    output : Path
        The output directory.
    library : LibraryColumns
        The library.
    facts : RunFacts
        Further facts for the files.
    scored : ScoredMolecules, optional
        Content of ``scored.csv``; None: the file is not written.

    Returns
    -------
    summary : dict
        Content of ``summary.json``.
    """
    from molgen.results.report.page import render_report

    modes = find_modes(library.fingerprints, library.reward, least_score=facts.mode_score)
    summary = summarise(library, facts, modes)
    report = render_report(library, summary, facts, modes, training=output / "train.jsonl")
    files = {
        "library.csv": library_table(library),
        "library.smi": library_smi(library),
        "library.sdf": library_sdf(library),
        "report.html": report,
        "summary.json": json_text(summary),
    }
    if library.n_objectives > 1:
        files["pareto.csv"] = pareto_table(library)
    if facts.provenance is not None:
        files["provenance.json"] = json_text(facts.provenance.as_dict())
    with staged_output(output, last="summary.json") as staging:
        for name, text in files.items():
            write_atomic(staging / name, text)
        if scored is not None:
            scored.write(staging / "scored.csv")
    return summary


def summarise(
    library: LibraryColumns, facts: RunFacts, modes: Modes | None = None
) -> dict[str, Any]:
    """Return the content of ``summary.json``; ``modes`` are computed unless given."""
    if modes is None:
        modes = find_modes(library.fingerprints, library.reward, least_score=facts.mode_score)
    warnings = run_warnings(facts)
    front = {"n_pareto": len(front_rows(library))} if library.n_objectives > 1 else {}
    exponents = {}
    if library.samples:
        exponents = {"exponents": [sample.as_dict() for sample in library.samples]}
    return {
        "software": "molgen",
        "version": software_version(),
        "command": facts.command,
        "seed": facts.seed,
        "score": facts.score,
        "environment": facts.environment,
        "symmetry": facts.symmetry,
        "objective": facts.objective,
        "reward_exponent": float(facts.reward_exponent),
        "order_temperature": facts.order_temperature,
        "sub_trajectory_lambda": facts.sub_trajectory_lambda,
        "conditioning": facts.conditioning,
        **exponents,
        "backward_policy": facts.backward_policy,
        "log_partition": float(facts.log_partition),
        "log_partition_se": float(facts.log_partition_se),
        "ess": float(facts.ess),
        "n_proposals": int(facts.n_proposals),
        "pareto_k": float(facts.pareto_k),
        "n_samples": int(library.count.sum()),
        "n_unique": len(library),
        "library_ess": library.effective_size,
        "n_scaffolds": len(library.scaffold_counts()),
        "n_modes": len(modes),
        "mode_score": float(facts.mode_score),
        **front,
        "validity": facts.validity,
        "mean_score": library.top_mean(len(library)),
        "top10_mean": library.top_mean(10),
        "top100_mean": library.top_mean(100),
        "internal_diversity": internal_diversity(library.fingerprints),
        "oracle_calls": int(facts.oracle_calls),
        "oracle_failures": {str(key): int(value) for key, value in facts.failures.items()},
        "oracle_failure_examples": dict(facts.failure_examples),
        "best_scored": [
            {"smiles": smiles, "score": float(score)} for smiles, score in facts.best_scored
        ],
        "wall_seconds": round(facts.use.wall_seconds, 3),
        "compile_seconds": round(facts.use.compile_seconds, 3),
        "cpu_seconds": round(facts.use.cpu_seconds, 3),
        "peak_memory_bytes": int(facts.use.peak_memory_bytes),
        "warnings": list(warnings),
        "warning_codes": [warning.code for warning in warnings],
        "extra": _further_figures(facts),
    }


def _further_figures(facts: RunFacts) -> dict[str, Any]:
    scoring, training = facts.scoring, facts.training
    figures: dict[str, Any] = {
        "draws_with_score_zero": scoring.zero_draws,
        "molecules_left_out_by_scaffold": scoring.left_out_by_scaffold,
        "molecules_at_the_reward_floor": scoring.at_reward_floor,
        "molecules_below_the_reward_floor": scoring.below_reward_floor,
        "filtered": dict(scoring.filtered),
    }
    if training is not None:
        figures |= {
            "training_steps": training.steps,
            "trajectories_trained": training.trajectories,
            "processes": training.processes,
        }
    figures["oracle_calls_retried"] = scoring.retried
    control = facts.control
    figures["local_changes"] = None if control is None else dataclasses.asdict(control)
    if training is not None:
        figures |= {
            "training_seconds_by_part": {
                part: round(seconds, 3) for part, seconds in training.seconds_by_part.items()
            },
            "trained_log_partition": training.log_partition,
        }
    return figures


def library_table(library: LibraryColumns) -> str:
    """Return the library as CSV, in order of score.

    Columns: smiles, reward, one per component, log_probability and its standard error, scaffold,
    count, weight, and the library's labels, such as R1. Unknown values are empty.
    """
    return _csv(library, np.arange(len(library)), {})


def pareto_table(library: LibraryColumns) -> str:
    """Return the Pareto front of the library as CSV.

    The columns are those of the library, with the objectives (the transformed values, which are
    maximised) after the reward. An objective with the name of a component is ``NAME_objective``,
    because ``NAME`` is the raw value of the component.
    """
    objectives = {
        name: library.objectives[:, column] for column, name in enumerate(library.objective_names)
    }
    return _csv(library, front_rows(library), objectives)


def library_smi(library: LibraryColumns) -> str:
    """Return SMILES and score, one molecule a line, a tab between."""
    return "".join(
        f"{smiles}\t{score_text(reward)}\n"
        for smiles, reward in zip(library.smiles, library.reward.tolist(), strict=True)
    )


def library_sdf(library: LibraryColumns) -> str:
    """Return the library as SD file with flat coordinates and the columns as properties.

    A SMILES that RDKit does not read is left out.
    """
    stream = io.StringIO()
    writer = Chem.SDWriter(stream)
    cells = [(_property_name(name), _texts(c)) for name, c in table_columns(library).items()]
    for row, molecule in enumerate(library.molecules):
        if molecule is None:
            continue
        drawn = Chem.Mol(molecule)
        rdDepictor.Compute2DCoords(drawn, canonOrient=True)
        drawn.SetProp("_Name", f"molgen-{row + 1}")
        for name, texts in cells:
            if texts[row]:
                drawn.SetProp(name, texts[row])
        writer.write(drawn)
    writer.close()
    return stream.getvalue()


def _property_name(column: str) -> str:
    """Return a column's name as SD files have it: no angle brackets, and no name of RDKit's own."""
    plain = column.translate({ord("<"): "(", ord(">"): ")"})
    return f"component{plain}" if plain.startswith("_") else plain


def _csv(library: LibraryColumns, rows: np.ndarray, objectives: Mapping[str, np.ndarray]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = table_columns(library, objectives)
    writer.writerow(columns)
    writer.writerows(zip(*(_texts(column, rows) for column in columns.values()), strict=True))
    return stream.getvalue()


def table_columns(
    library: LibraryColumns, objectives: Mapping[str, np.ndarray] | None = None
) -> dict[str, Sequence[str] | np.ndarray]:
    """Return the columns of the library's table by their names, no two of which are the same.

    Parameters
    ----------
    library : LibraryColumns
    objectives : mapping of str to ndarray, shape(n,), optional
        Further columns after the reward.
    """
    objectives = objectives or {}
    components, more = column_names(list(library.components), list(objectives))
    columns: dict[str, Sequence[str] | np.ndarray] = {
        "smiles": library.smiles,
        "reward": library.reward,
        **dict(zip(more, objectives.values(), strict=True)),
        **dict(zip(components, library.components.values(), strict=True)),
    }
    for name, values in _drawn(library).items():
        columns[free_name(name, set(columns))] = values
    taken = set(columns)
    groups = {name: f"{name}_group" if name in taken else name for name in library.labels}
    for name, labels in library.labels.items():
        columns[free_name(groups[name], taken)] = labels
    return columns


def _drawn(library: LibraryColumns) -> dict[str, Sequence[str] | np.ndarray]:
    """Return the columns on probabilities, scaffolds and draws; these at each exponent."""
    if not library.samples:
        return {
            "log_probability": library.log_probability,
            "log_probability_se": library.log_probability_se,
            "scaffold": library.scaffold,
            "count": library.count,
            "weight": library.weight,
        }
    columns: dict[str, Sequence[str] | np.ndarray] = {"scaffold": library.scaffold}
    for sample in library.samples:
        columns |= sample.columns()
    return columns


def _texts(column: Sequence[str] | np.ndarray, rows: np.ndarray | None = None) -> list[str]:
    """Return the cells of a column, for some rows or for all."""
    values = column.tolist() if isinstance(column, np.ndarray) else list(column)
    if rows is not None:
        values = [values[row] for row in rows.tolist()]
    return [score_text(value) if isinstance(value, float) else str(value) for value in values]


def run_warnings(facts: RunFacts) -> tuple[Note, ...]:
    """Return the warnings of the run, with those on failed scores and missing corrections."""
    warnings = list(facts.warnings)
    if any(facts.failures.values()):
        warnings.append(failure_warning(facts.failures, facts.failure_examples, facts.oracle_calls))
    if facts.symmetry == "none":
        warnings.append(
            Note(
                "no-symmetry-correction",
                "no correction for symmetry was requested: molecules are not drawn in proportion "
                "to their score",
            )
        )
    return tuple(warnings)


def failure_warning(failures: Mapping[str, int], examples: Mapping[str, str], calls: int) -> Note:
    """Return the sentence on scores that failed, with an example of each of the first reasons."""
    told = []
    for reason, count in list(failures.items())[:_REASONS]:
        example = f", for example {examples[reason]}" if examples.get(reason) else ""
        told.append(f"{reason}: {count:,}{example}")
    more = len(failures) - _REASONS
    reasons = "; ".join(told) + (f"; and {more} other reasons" if more > 0 else "")
    return Note(
        "failed-scores",
        f"the score of {sum(failures.values()):,} of {calls:,} molecules could not be computed "
        f"({reasons}); they are not in the library",
    )
