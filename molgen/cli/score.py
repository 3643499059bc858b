"""``molgen score``: a table of scores for molecules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from gfncore.program.command_line import with_options
from gfncore.program.messages import say
from gfncore.program.options import RUN, Option, Options, Threads
from molgen.options import SCORE, RewardName

if TYPE_CHECKING:
    from molgen.molecules.smiles_file import MoleculeLine
    from molgen.scoring import ScoreTable

__all__ = ["score"]

_CHUNK = 1000  # molecules scored before their rows are printed
_EACH_WORKER = 200  # molecules for which one more process is worth its start


class ScoreOptions(Options):
    """Options of ``molgen score``."""

    GROUPS = (SCORE, RUN)
    POSITIONAL = {"smiles_file": "SMILES_FILE"}

    smiles_file: Annotated[
        Path,
        Option(
            "SMILES, one per line, with an optional name; a table with a column of SMILES; an SD "
            "file; or - for standard input.",
            leading_hyphen=True,
        ),
    ]
    reward: RewardName = None
    config: Annotated[
        Path | None, Option("Scoring file, or the `run.toml` of a run.", group=SCORE)
    ] = None
    threads: Threads = None


@with_options(ScoreOptions)
def score(given: dict[str, Any]) -> int:
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
    """
    import csv
    import sys

    from gfncore.errors import UserError
    from gfncore.program.configuration import available_cores
    from molgen.molecules.smiles import silence_rdkit
    from molgen.molecules.smiles_file import read_smiles
    from molgen.scoring.table import column_names
    from molgen.settings import open_scoring, scoring_of_config

    silence_rdkit()
    options = ScoreOptions.checked(given)
    reward, config, threads = options["reward"], options["config"], options["threads"]
    if reward is not None and config is not None:
        raise UserError("--reward and --config cannot be combined; give one of them")
    wanted = {"reward": reward or "qed"} if config is None else scoring_of_config(config)
    found = read_smiles(options["smiles_file"])
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
