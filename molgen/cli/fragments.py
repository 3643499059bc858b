"""``molgen fragments``: a file of fragments from molecules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from gfncore.program.command_line import Flag
from gfncore.program.messages import say

__all__ = ["fragments"]

_SHOWN = 20  # molecules without fragments that are named on standard error


def fragments(
    smiles_file: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], show_default="standard output")
    ] = None,
    method: Literal["brics", "rings"] = "brics",
    max_fragments: Annotated[int, Parameter(name="--max-fragments")] = 200,
    min_count: int = 1,
    force: Flag = False,
) -> int:
    """Cut molecules into fragments for `molgen sample --fragments`.

    The exit code is 0 if every line is a valid molecule; 1 if other lines were skipped (standard
    error names each); 2 if there is no fragment. Molecules that gave no fragment are named on
    standard error and at the head of the file.

    **Examples**

    ```
    molgen fragments actives.smi -o mine.smi
    molgen fragments actives.smi --method rings --min-count 5 > mine.smi
    molgen sample -o out --fragments mine.smi
    ```

    Parameters
    ----------
    smiles_file
        SMILES, one per line, or a table with a column `smiles`, plain or compressed; or - for
        standard input.
    output
        Output file.
    method
        Cut at bonds that are accessible to synthesis (brics), or between rings and chains (rings).
    max_fragments
        Maximum number of fragments; the most frequent are kept.
    min_count
        Minimum number of occurrences of a fragment.
    force
        Replace an existing file.
    """

    from gfncore.errors import UserError
    from gfncore.files import write_atomic
    from gfncore.text.numbers import parse_int

    if output is not None and output.exists() and not force:
        raise UserError(f"{output} exists; give --force to replace it, or another name")
    if (
        output is not None
        and smiles_file.exists()
        and output.exists()
        and output.samefile(smiles_file)
    ):
        raise UserError(f"{output} is also the file of molecules; give another name")
    if output is not None and not output.absolute().parent.is_dir():
        raise UserError(f"{output.parent} is not a directory; create it first")
    for name, value in (("--max-fragments", max_fragments), ("--min-count", min_count)):
        parse_int(str(value), 1, 10**9, place=name, error=UserError)
    from molgen.fragments.cutting import METHODS, fragment_file
    from molgen.molecules.smiles import silence_rdkit

    silence_rdkit()
    found = fragment_file(
        smiles_file, method=method, max_fragments=max_fragments, min_count=min_count
    )
    for line, reason in found.problems:
        say(f"molgen: warning: {smiles_file}, line {line}: {reason}")
    for note in found.notes:
        say(f"molgen: note: {note}")
    if found.uncut:
        shown = [f"{name} (line {line}: {reason})" for line, name, reason in found.uncut[:_SHOWN]]
        more = len(found.uncut) - len(shown)
        other = " or ".join(f"--method {name}" for name in METHODS if name != method)
        say(
            f"molgen: warning: {len(found.uncut):,} of "
            f"{found.n_molecules + len(found.uncut):,} molecules gave no fragment: "
            f"{', '.join(shown)}{f' and {more:,} more' if more else ''}; {other} cuts other bonds"
        )
    if output is None:
        print(found.text, end="")
    else:
        write_atomic(output, found.text)
        say(f"{output}: {found.n_fragments} fragments of {found.n_molecules:,} molecules")
    return 1 if found.problems else 0
