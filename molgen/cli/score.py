"""``molgen score``: a table of scores for molecules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from gfncore.program.messages import say

if TYPE_CHECKING:
    from molgen.molecules.smiles_file import MoleculeLine
    from molgen.scoring import ScoreTable

__all__ = ["score"]

_SCORE = Group("Score", sort_key=1)
_RUN = Group("Run", sort_key=2)
_CHUNK = 1000  # molecules scored before their rows are printed
_EACH_WORKER = 200  # molecules for which one more process is worth its start


def score(
    smiles_file: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    reward: Annotated[str | None, Parameter(group=_SCORE, show_default="qed")] = None,
    config: Annotated[Path | None, Parameter(group=_SCORE)] = None,
    threads: Annotated[int | None, Parameter(group=_RUN, show_default="all cores")] = None,
) -> int:
    """Print the scores of molecules as CSV, one row per molecule, in the order of the file.

    Columns: smiles (canonical), name if the file has names, reward (the score, 0 to 1), the raw
    value of each component, and a remark if the molecule has no score, failed a filter or is
    unusual (several components, dummy atoms, atom map numbers, radicals).

    The exit code is 0 if every line has a score; 1 if lines without a valid molecule were skipped
    (standard error names each) or scores failed (see the remarks); 2 if nothing could be scored.

    **Examples**

    ```
    molgen score molecules.smi > scores.csv
    molgen score molecules.smi --config my-score.toml > scores.csv
    molgen score out/library.csv --reward druglike > scores.csv
    ```

    Parameters
    ----------
    smiles_file
        SMILES, one per line, with an optional name; a table with a column of SMILES; an SD file; or
        - for standard input.
    reward
        Name of a score; `molgen rewards` lists them.
    config
        Scoring file, or the `run.toml` of a run.
    threads
        Number of processes.
    """
    import csv
    import sys

    from gfncore.errors import UserError
    from gfncore.program.configuration import available_cores
    from gfncore.program.options import MOST_THREADS
    from gfncore.text.numbers import parse_int
    from molgen.molecules.smiles import silence_rdkit
    from molgen.molecules.smiles_file import read_smiles
    from molgen.scoring.table import column_names
    from molgen.settings import open_scoring, scoring_of_config

    silence_rdkit()
    if threads is not None:
        parse_int(str(threads), 1, MOST_THREADS, place="--threads", error=UserError)
    if reward is not None and config is not None:
        raise UserError("--reward and --config cannot be combined; give one of them")
    wanted = {"reward": reward or "qed"} if config is None else scoring_of_config(config)
    found = read_smiles(smiles_file)
    for problem in found.problems:
        say(f"molgen: warning: {problem}; skipped")
    workers = min(threads or available_cores(), 1 + len(found.molecules) // _EACH_WORKER)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    failed = 0
    with open_scoring(wanted, source=str(config or "--reward"), workers=workers) as scoring:
        head = ["smiles", "name"] if found.has_names else ["smiles"]
        writer.writerow([*head, "reward", *column_names(scoring.names)[0], "remark"])
        for start in range(0, len(found.molecules), _CHUNK):
            chunk = found.molecules[start : start + _CHUNK]
            table = scoring.evaluate([line.smiles for line in chunk], canonical=True)
            failed += len(table.failures)
            isomers = scoring.isomers([line.smiles for line in chunk])
            writer.writerows(_rows(chunk, table, found.has_names, isomers))
            sys.stdout.flush()
        examples = scoring.failure_examples
    if failed:
        say(
            f"molgen: warning: {failed:,} of {len(found.molecules):,} molecules have no score; "
            "the column remark says why"
        )
        for reason, example in examples.items():
            say(f"molgen: warning: {reason}, for example {example}")
    return 1 if failed or found.problems else 0


def _rows(
    lines: tuple[MoleculeLine, ...],
    table: ScoreTable,
    has_names: bool,
    isomers: dict[str, list[str]],
) -> list[list[Any]]:
    from molgen.scoring.table import score_text

    rows = []
    for row, line in enumerate(lines):
        remarks = [table.failures.get(row, ""), line.remark]
        if row in table.filtered:
            remarks[0] = f"filtered by {table.filtered[row]}"
        remarks += [
            f"{name}: isomer {own[row]}" for name, own in isomers.items() if own[row] != line.smiles
        ]
        # a row is a line, whatever an exception or a program says
        remark = " ".join("; ".join(filter(None, remarks)).split())
        values = [score_text(float(column[row])) for column in table.components.values()]
        head = [line.smiles, line.name] if has_names else [line.smiles]
        rows.append([*head, score_text(float(table.total[row])), *values, remark])
    return rows
