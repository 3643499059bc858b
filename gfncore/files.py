"""Files that are either complete or not there: written under a temporary name, synced, renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from gfncore.errors import UserError

__all__ = ["STAGING_PREFIX", "clear_leftovers", "sync_directory", "write_atomic"]

STAGING_PREFIX = ".staging-"
_TEMPORARY_PREFIX = ".writing-"


def clear_leftovers(directory: Path) -> None:
    """Remove temporary files that a killed process left in ``directory``, before a run is resumed.

    Parameters
    ----------
    directory : Path
        The output directory, to which no other process may write. Its subdirectories are not
        changed.
    """
    for entry in sorted(directory.iterdir()):
        if entry.name.startswith((STAGING_PREFIX, _TEMPORARY_PREFIX)):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file so that it is there in whole or not at all: temporary name, sync, rename.

    Parameters
    ----------
    path : Path
        The file; its directory must exist.
    content : str or bytes
        Text is encoded as UTF-8; line ends are kept.

    Raises
    ------
    UserError
        The path is a device, a pipe or a directory, which renaming would replace.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a regular file; give another name")
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
    sync_directory(path.parent)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def sync_directory(directory: Path) -> None:
    """Write the entries of a directory to disk, where the file system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
