"""Python files of users as modules, whose names encode the path of the file.

``/data/my_scores.py`` is imported as ``molgen.scoring.user_files._2fdata_2fmy_5fscores_2epy``: a
name that shadows no other module and can be imported in every process with molgen, so that classes
and functions of the file can be pickled.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType

from gfncore.program.provenance import file_sha256

__all__ = ["import_file", "search_last"]

_LOCK = threading.Lock()
_hashes: dict[str, str] = {}  # of the files of modules, when they were imported


def import_file(path: Path) -> ModuleType:
    """Return the module of a Python file, reimported if the file was edited.

    For its own imports, its directory is searched last (see `search_last`).

    Raises
    ------
    Exception
        Any exception raised by the file.
    """
    path = path.resolve()
    quoted = re.sub(rb"[^A-Za-z0-9]", lambda found: b"_%02x" % ord(found[0]), os.fsencode(path))
    name = f"{__name__}.{quoted.decode()}"
    now = file_sha256(path)
    with _LOCK:
        if _hashes.get(name, now) != now:
            del _hashes[name]
            sys.modules.pop(name, None)
    return importlib.import_module(name)


class _Finder(importlib.abc.MetaPathFinder):
    """Finder of the files of names of `import_file`, in any process."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of the module; None for other names."""
        quoted = fullname.removeprefix(f"{__name__}.")
        if not re.fullmatch(r"_2f(?:[A-Za-z0-9]|_[0-9a-f]{2})+", quoted):
            return None
        file = re.sub(
            rb"_(..)", lambda found: bytes.fromhex(found[1].decode()), os.fsencode(quoted)
        )
        loader = _Loader(fullname, os.fsdecode(file))
        return importlib.util.spec_from_file_location(fullname, loader.path, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType | None:
        # never from a cache, which misses edits within a second
        return self.source_to_code(self.get_data(self.path), self.path)

    def exec_module(self, module: ModuleType) -> None:
        path = Path(self.path)
        _hashes[module.__name__] = file_sha256(path)
        search_last([path.parent])
        super().exec_module(module)


sys.meta_path.append(_Finder())


def search_last(directories: Sequence[Path]) -> None:
    """Search directories for modules after all other places.

    A file can thus import its neighbours, also when its functions are called; but a neighbouring
    file ``numpy.py`` never replaces the library.
    """
    for directory in directories:
        entry = str(directory.resolve())
        if entry not in sys.path:
            sys.path.append(entry)
