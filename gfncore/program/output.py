"""Rules for output directories: they must be empty, and are never partly overwritten.

Only a directory with the ``run.toml`` of an earlier run is cleared, and only files with names that
the program writes are removed; input files in it with such a name are refused.

Files are written under a temporary name in the same directory, synced to disk and renamed. A set of
related files is staged first and moved into place at the end, so that readers see either the old
set or the new one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gfncore.errors import UserError
from gfncore.files import STAGING_PREFIX, clear_leftovers, sync_directory

__all__ = [
    "RUN_HEAD",
    "absolute_path",
    "check_inputs",
    "check_output",
    "check_replaced",
    "clear_output",
    "json_line",
    "json_text",
    "locked_output",
    "staged_output",
]

RUN_HEAD = "# Settings of this run."
"""How a ``run.toml`` of these programs begins."""
# files of runs in subdirectories: checkpoints, and the events of TensorBoard
_IN_DIRECTORIES = re.compile(
    r"checkpoint\.json|[0-9a-f]{16}\.safetensors|events\.out\.tfevents\..*|\.writing-.*"
)
_PART = re.compile(r"run[0-9]{1,3}")  # subdirectory of the files of one of several runs
_RUN_FILE = "run.toml"


def check_output(
    directory: Path,
    *,
    force: bool = False,
    resume: bool = False,
    resume_file: str = "run.toml",
    in_python: bool = False,
) -> None:
    """Check, without changing anything, that results may be written to ``directory``.

    Parameters
    ----------
    directory : Path
        The directory; it need not exist.
    force : bool
        Whether a directory that is not empty is accepted.
    resume : bool
        Whether the directory must contain the file ``resume_file`` of an earlier run.
    in_python : bool
        Whether messages name arguments of Python functions instead of options.

    Raises
    ------
    UserError
        The directory may not be used.
    """
    if force and resume:
        raise UserError(
            "--force and --resume cannot be combined; --force starts again, --resume continues"
        )
    if directory.exists() and not directory.is_dir():
        place = "a directory" if in_python else "--output a directory"
        raise UserError(f"{directory} is a file; give {place}")
    if resume:
        if not (directory / resume_file).is_file():
            raise UserError(
                f"{directory} contains no run to resume ({resume_file} is missing); "
                "omit --resume to start one"
            )
        return
    if directory.is_dir() and not force:
        found = sorted(entry.name for entry in directory.iterdir())
        if found:
            shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
            cures = "--resume to go on with the run in it, or --force to replace that run"
            if in_python:
                cures = "or force=True to replace the run in it"
            raise UserError(
                f"{directory} is not empty (it holds {shown}); choose another directory, {cures}"
            )
    parent = directory if directory.exists() else directory.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"{directory} cannot be written: no permission in {parent}")


def absolute_path(path: Path) -> Path:
    """Return an absolute path, which stays valid if the working directory changes.

    Raises
    ------
    UserError
        The path is relative, and the current directory has been deleted.
    """
    try:
        return path.absolute()
    except FileNotFoundError:
        raise UserError(
            "the current directory has been deleted; go to another, and start there"
        ) from None


def check_inputs(directory: Path, inputs: Iterable[Path], known: Collection[str]) -> None:
    """Refuse an output directory in which an input has the name of a result.

    Parameters
    ----------
    directory : Path
        The output directory.
    inputs : iterable of Path
        Input files of the run; names that are not files are ignored. The ``run.toml`` of an earlier
        run in the directory is allowed, since it is read first and written again.
    known : collection of str
        The names (files or directories) that the program writes.

    Raises
    ------
    UserError
        A result would replace an input.
    """
    if not directory.is_dir():
        return
    place = directory.resolve()
    for path in inputs:
        if not path.is_file():
            continue
        for form in {path.absolute(), path.resolve()}:
            for root in {directory.absolute(), place}:
                if not form.is_relative_to(root):
                    continue
                name = form.relative_to(root).parts[0]
                if name in known and not (name == _RUN_FILE and _holds_run(directory)):
                    raise UserError(
                        f"{path} lies in the output directory, where the run would replace "
                        f"'{name}'; move it, or choose another output directory"
                    )


def check_replaced(directory: Path, known: Collection[str], *, in_python: bool = False) -> None:
    """Refuse to replace files that no earlier run has written.

    Parameters
    ----------
    directory : Path
        The output directory; it need not exist.
    known : collection of str
        The names (files or directories) that the program writes.
    in_python : bool
        Whether messages name arguments of Python functions instead of options.

    Raises
    ------
    UserError
        The directory has such names, and no ``run.toml`` of this program.
    """
    if not directory.is_dir() or _holds_run(directory):
        return
    found = sorted(
        entry.name for entry in directory.iterdir() if entry.name.removesuffix(".partial") in known
    )
    if found:
        shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise UserError(
            f"{directory} holds {shown}, but no {_RUN_FILE} that says that a run of this program "
            f"wrote them; {'force=True' if in_python else '--force'} does not replace them: move "
            "them away, or choose another directory"
        )


def _holds_run(directory: Path) -> bool:
    """Return whether there is a ``run.toml`` written by this program."""
    try:
        with (directory / _RUN_FILE).open("rb") as file:
            return file.read(len(RUN_HEAD)) == RUN_HEAD.encode()
    except OSError:
        return False


def clear_output(directory: Path, known: Collection[str]) -> None:
    """Make ``directory`` and remove from it the files of an earlier run, and nothing else.

    Parameters
    ----------
    directory : Path
        The output directory.
    known : collection of str
        The names (files or directories) that the program writes. All other files are kept,
        including those in directories of these names that no run has written.

    Raises
    ------
    UserError
        The directory has such names, and no ``run.toml`` of an earlier run.
    """
    directory.mkdir(parents=True, exist_ok=True)
    check_replaced(directory, known)
    clear_leftovers(directory)
    # the file that marks the directory of a run is removed last, so that clearing can be repeated
    for entry in sorted(directory.iterdir(), key=lambda e: (e.name == _RUN_FILE, e.name)):
        if entry.name.removesuffix(".partial") in known:
            _remove(entry)


def _remove(entry: Path) -> None:
    """Remove a file, a link (not its target), or the files of runs in a directory."""
    if not entry.is_dir() or entry.is_symlink():
        entry.unlink()
    else:
        for file in entry.iterdir():
            if _PART.fullmatch(file.name) and file.is_dir() and not file.is_symlink():
                _remove(file)
            elif _IN_DIRECTORIES.fullmatch(file.name) and not file.is_dir():
                file.unlink()
        with contextlib.suppress(OSError):  # files of others are in it
            entry.rmdir()


@contextlib.contextmanager
def locked_output(directory: Path, holds: str | None = None) -> Iterator[Callable[[], None]]:
    """Lock ``directory`` against other runs, and yield a check that it still exists.

    The directory itself is locked: no lock file is left, and the lock ends with the process in any
    case. Only processes that request the lock are kept out. On file systems that cannot lock a
    directory (some network file systems) there is no lock, and no message.

    Parameters
    ----------
    directory : Path
        The output directory, created if missing. If several processes train together, only the one
        that writes requests the lock.
    holds : str, optional
        A file that the run writes at its start; its absence means that the directory was emptied.

    Yields
    ------
    check : callable
        Raises `UserError` if the directory has been deleted, replaced or emptied; also called at
        the end.

    Raises
    ------
    UserError
        The directory is already locked, by this or another process, or no longer exists.
    """
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{directory} is in use by another run; wait for it, or choose another directory"
            ) from None
        except OSError:  # the file system has no such locks
            pass

        def check() -> None:
            _check_same(directory, descriptor, holds)

        try:
            yield check
        except OSError:
            _check_same(directory, descriptor, None)  # the cause, where it is this
            raise
        check()
    finally:
        os.close(descriptor)


def _check_same(directory: Path, descriptor: int, holds: str | None) -> None:
    """Check that a path still leads to the directory that was opened."""
    gone = UserError(
        f"{directory} was deleted, moved or replaced during the run, so its results are "
        "incomplete; start the run again"
    )
    try:
        same = os.path.samestat(os.fstat(descriptor), os.stat(directory))
    except OSError:
        raise gone from None
    if not same or (holds is not None and not (directory / holds).is_file()):
        raise gone


@contextlib.contextmanager
def staged_output(directory: Path, last: str | None = None) -> Iterator[Path]:
    """Collect files in a hidden directory, and move them into ``directory`` when all are written.

    Parameters
    ----------
    directory : Path
        The output directory; made when missing.
    last : str, optional
        The file that is moved last: once it is there, the set is whole.

    Yields
    ------
    staging : Path
        Where to write. After an exception it is removed and ``directory`` is as it was.
    """
    directory.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=directory))
    try:
        yield staging
        names = sorted((entry.name for entry in staging.iterdir()), key=lambda n: (n == last, n))
        if last is not None and last in names:
            with contextlib.suppress(FileNotFoundError):
                (directory / last).unlink()
        for name in names:
            os.replace(staging / name, directory / name)
        sync_directory(directory)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def json_text(value: dict[str, Any]) -> str:
    """Return ``value`` as indented JSON; numbers that JSON does not have become ``null``."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def json_line(value: Mapping[str, Any]) -> str:
    """Return ``value`` as JSON on one line; numbers that JSON does not have become ``null``."""
    return json.dumps(_plain(dict(value)), allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy and torch, without importing them
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
