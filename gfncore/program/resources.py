"""Location of the data files of the programs: in a checkout or in the installed copy.

In a checkout (including editable installs) the folder ``data`` is next to the packages. A wheel
contains the same folder in ``gfncore_share``, a separate directory without ``__init__.py``.
"""

from __future__ import annotations

from pathlib import Path

from gfncore.errors import UserError
from gfncore.text.hints import nearest

__all__ = ["data_file", "data_files", "resource_directory"]

_PACKAGES = Path(__file__).resolve().parents[2]


def resource_directory(name: str, packages: Path | None = None) -> Path:
    """Return the directory of resources called ``name`` (``"data"`` or ``"pipelines"``).

    Parameters
    ----------
    name : str
        Name of the directory.
    packages : Path, optional
        The directory of the import packages. Default: that of this package.

    Returns
    -------
    directory : Path
        ``<checkout>/<name>`` in a checkout, otherwise ``gfncore_share/<name>``.

    Raises
    ------
    UserError
        Neither exists: the installation is incomplete.
    """
    root = _PACKAGES if packages is None else packages
    if (root / "pyproject.toml").is_file() and (root / name).is_dir():
        return root / name
    installed = root / "gfncore_share" / name
    if installed.is_dir():
        return installed
    raise UserError(
        f"the directory '{name}' that belongs to this program is missing "
        f"(looked in {root / name} and {installed}); install the program again"
    )


def data_files(packages: Path | None = None) -> dict[str, Path]:
    """Return the data files that come with the program, by their name below ``data/``.

    Hidden files, documentation and Python sources are left out.
    """
    root = resource_directory("data", packages)
    return {
        path.relative_to(root).as_posix(): path
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and path.suffix not in {".md", ".py", ".pyc"}
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    }


def data_file(name: str, packages: Path | None = None) -> Path:
    """Return the path of one data file.

    Parameters
    ----------
    name : str
        Its name as printed by ``data list``; the suffix or the directory may be omitted if the rest
        is unambiguous.

    Raises
    ------
    UserError
        There is no such file, or several; the message suggests the most similar names.
    """
    files = data_files(packages)
    if name in files:
        return files[name]
    matches = [key for key in files if name in (Path(key).name, Path(key).stem)]
    if len(matches) == 1:
        return files[matches[0]]
    if matches:
        raise UserError(
            f"'{name}' names several data files: {', '.join(matches)}; give one of them"
        )
    known = {Path(key).stem: key for key in files} | {key: key for key in files}
    near = nearest(name, known)
    hint = f"; did you mean '{known[near]}'?" if near else ""
    raise UserError(f"there is no data file '{name}'{hint} (there are: {', '.join(files)})")
