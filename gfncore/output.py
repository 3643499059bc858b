"""The rules of an output directory: refused when not empty, never half overwritten.

Files are written to a temporary name in the same directory, synced to disk and renamed. A set of
files that belong together is staged first and moved into place at the end, so that a reader sees
the old set or the new one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from gfncore.errors import UserError

__all__ = [
    "check_output",
    "clear_leftovers",
    "clear_output",
    "json_line",
    "json_text",
    "locked_output",
    "staged_output",
    "write_atomic",
]

_STAGING_PREFIX = ".staging-"
_TEMPORARY_PREFIX = ".writing-"


def check_output(
    directory: Path,
    *,
    force: bool = False,
    resume: bool = False,
    resume_file: str = "run.toml",
) -> None:
    """Check, without changing anything, that results may be written to ``directory``.

    Parameters
    ----------
    directory : Path
        The directory; it need not exist.
    force : bool
        A directory that is not empty is accepted.
    resume : bool
        The directory must hold the file ``resume_file`` of an earlier run.

    Raises
    ------
    UserError
        The directory may not be used.
    """
    if force and resume:
        raise UserError("--force and --resume exclude each other: start again or go on, not both")
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} is a file; give --output a directory")
    if resume:
        if not (directory / resume_file).is_file():
            raise UserError(
                f"{directory} holds no run to resume ({resume_file} is missing); "
                "leave --resume out to start one"
            )
        return
    if directory.is_dir() and not force:
        found = sorted(entry.name for entry in directory.iterdir())
        if found:
            shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
            raise UserError(
                f"{directory} is not empty (it holds {shown}); choose another directory, "
                "--resume to go on with the run in it, or --force to replace that run"
            )
    parent = directory if directory.exists() else directory.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"{directory} cannot be written: no permission in {parent}")


def clear_output(directory: Path, known: Collection[str]) -> None:
    """Make ``directory`` and remove from it the files of an earlier run, and nothing else.

    Parameters
    ----------
    directory : Path
        The output directory.
    known : collection of str
        The names (files or directories) that the program writes. Whatever else lies in the
        directory stays.
    """
    directory.mkdir(parents=True, exist_ok=True)
    clear_leftovers(directory)
    for entry in sorted(directory.iterdir()):
        if entry.name.removesuffix(".partial") in known:
            _remove(entry)


def clear_leftovers(directory: Path) -> None:
    """Remove what a killed write left in ``directory``; for a run that is resumed.

    Parameters
    ----------
    directory : Path
        The output directory, in which nothing else may be writing. What lies in directories below
        it stays.
    """
    for entry in sorted(directory.iterdir()):
        if entry.name.startswith((_STAGING_PREFIX, _TEMPORARY_PREFIX)):
            _remove(entry)


def _remove(entry: Path) -> None:
    """Remove a file, a link (not what it points to), or a directory with all in it."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()


@contextlib.contextmanager
def locked_output(directory: Path) -> Iterator[None]:
    """Keep other runs off ``directory`` while one writes there.

    The lock is one on the directory itself: no file is left, and it is gone as soon as the process
    is, however that ends. Only those who ask for it are kept off. A file system that cannot lock a
    directory (some network file systems) locks nothing, and nothing is said.

    Parameters
    ----------
    directory : Path
        The output directory; made when missing. Of processes that train together, only the one
        that writes asks for the lock.

    Raises
    ------
    UserError
        It is locked already, by another process or by this one.
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
        yield
    finally:
        os.close(descriptor)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there in whole or not at all: temporary name, sync, rename.

    Parameters
    ----------
    path : Path
        The file; its directory must exist.
    content : str or bytes
        Text is encoded as UTF-8; line ends are kept.
    """
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY_PREFIX, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_directory(path.parent)


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
    staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=directory))
    try:
        yield staging
        names = sorted((entry.name for entry in staging.iterdir()), key=lambda n: (n == last, n))
        if last is not None and last in names:
            with contextlib.suppress(FileNotFoundError):
                (directory / last).unlink()
        for name in names:
            os.replace(staging / name, directory / name)
        _sync_directory(directory)
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


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync_directory(directory: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot sync a directory
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
