"""The subcommand ``data`` of both programs: list or copy the data that come with them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from cyclopts import App

from gfncore.program.command_line import Flag

__all__ = ["data_app"]


def data_app(
    program: str,
    example: str,
    suffixes: Collection[str],
    describe: Callable[[Path], str],
) -> App:
    """Return the application ``data`` of a program.

    Parameters
    ----------
    program : str
        Its name.
    example : str
        A file to copy in the help.
    suffixes : collection of str
        Suffixes of the files that the program reads; others are not listed.
    describe : callable
        The path of a file to a few words on its content.
    """
    app = App(name="data", help="List or copy the example data.")

    @app.command(name="list")
    def list_data() -> None:
        """List the example data."""
        from gfncore.program.resources import data_files

        rows = [
            (name, describe(path))
            for name, path in data_files().items()
            if path.suffix.lower() in suffixes
        ]
        width = max((len(name) for name, _ in rows), default=0)
        for name, description in rows:
            print(f"{name:<{width}}  {description}".rstrip())

    def copy_data(name: str, destination: Path = Path("."), /, *, force: Flag = False) -> None:
        from gfncore.errors import UserError
        from gfncore.files import write_atomic
        from gfncore.program.resources import data_file

        source = data_file(name)
        target = destination / source.name if destination.is_dir() else destination
        if target.is_dir():
            raise UserError(f"{target} is a directory; give the copy another name")
        if target.exists() and not force:
            raise UserError(f"{target} exists; give --force to replace it, or another destination")
        if not target.parent.is_dir():
            raise UserError(f"{target.parent} is not a directory; create it first")
        try:
            write_atomic(target, source.read_bytes())
        except OSError as problem:
            raise UserError(f"{target} cannot be written: {problem.strerror}") from None
        print(target)

    copy_data.__doc__ = f"""Copy an example data file.

    **Example**

    ```
    {program} data copy {example}
    ```

    Parameters
    ----------
    name
        Name of the file, as `{program} data list` prints it.
    destination
        A directory, or the name of the copy.
    force
        Replace an existing file.
    """
    app.command(copy_data, name="copy")
    return app
