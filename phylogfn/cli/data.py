"""``phylogfn data``: the example data that come with the program."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from phylogfn.cli.options import Flag

__all__ = ["app", "copy_data", "list_data"]

app = App(name="data", help="List or copy the example data.")


@app.command(name="list")
def list_data() -> None:
    """List the example data."""
    from gfncore.resources import data_files

    rows = [(name, _describe(path)) for name, path in data_files().items()]
    width = max((len(name) for name, _ in rows), default=0)
    for name, description in rows:
        print(f"{name:<{width}}  {description}".rstrip())


@app.command(name="copy")
def copy_data(name: str, destination: Path = Path("."), /, *, force: Flag = False) -> None:
    """Copy an example data file.

    **Example**

    ```
    phylogfn data copy primates.fasta
    ```

    Parameters
    ----------
    name
        Its name, as `phylogfn data list` prints it.
    destination
        A directory, or the name of the copy.
    force
        Replace a file that is there.
    """
    from gfncore.errors import UserError
    from gfncore.output import write_atomic
    from gfncore.resources import data_file

    source = data_file(name)
    target = destination / source.name if destination.is_dir() else destination
    if target.is_dir():
        raise UserError(f"{target} is a directory; give the copy another name")
    if target.exists() and not force:
        raise UserError(f"{target} exists; give --force to replace it, or another destination")
    if not target.parent.is_dir():
        raise UserError(f"{target.parent} is no directory; make it first")
    try:
        write_atomic(target, source.read_bytes())
    except OSError as problem:
        raise UserError(f"{target} cannot be written: {problem.strerror}") from None
    print(target)


def _describe(path: Path) -> str:
    """Return the dimensions of a FASTA file, else the size of the file."""
    if path.suffix not in {".fasta", ".fa", ".fas"}:
        return f"{path.stat().st_size:,} bytes"
    text = path.read_text(encoding="utf-8")
    sequences = [record.partition("\n")[2] for record in text.split(">")[1:]]
    columns = len("".join(sequences[0].split())) if sequences else 0
    return f"{len(sequences)} sequences of {columns:,} columns"
