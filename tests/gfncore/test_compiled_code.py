from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gfncore.compiled_code import discard_stale_code

FILES = {  # by date
    "symmetry_numba.py": 100,
    "symmetry_search_numba.py": 300,
    "other_numba.py": 500,
    "constants.py": 700,
    "__pycache__/symmetry_numba.f-1.py311.nbi": 200,
    "__pycache__/symmetry_numba.f-1.py311.1.nbc": 200,
    "__pycache__/symmetry_search_numba.g-1.py311.nbi": 400,
    "__pycache__/other_numba.h-1.py311.nbi": 200,
    "__pycache__/other_numba.k-1.py311.nbi": 600,
    "__pycache__/other_numba.cpython-311.pyc": 100,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "__pycache__").mkdir()
    for name, date in FILES.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (date, date))
    return tmp_path


def discarded(folder: Path) -> list[str]:
    return sorted(Path(name).name for name in FILES if not (folder / name).exists())


def test_code_older_than_any_kernel_is_discarded(folder):
    discard_stale_code(folder)
    assert discarded(folder) == [
        "other_numba.h-1.py311.nbi",
        "symmetry_numba.f-1.py311.nbi",
        "symmetry_search_numba.g-1.py311.nbi",
    ]


def test_files_beside_the_pattern_neither_count_nor_lose_their_code(folder):
    discard_stale_code(folder, "symmetry*_numba")
    assert discarded(folder) == ["symmetry_numba.f-1.py311.nbi"]
    discard_stale_code(folder, "constants")
    assert discarded(folder) == ["symmetry_numba.f-1.py311.nbi"]


def test_constants_count_where_the_pattern_has_their_file(folder):
    discard_stale_code(folder, "*")
    assert discarded(folder) == sorted(Path(name).name for name in FILES if name.endswith(".nbi"))


READ_ONLY = """
import tempfile
from pathlib import Path
import numba.core.caching as caching

def nowhere(*args, **kwargs):
    if "compiled-kernels-" in str(kwargs.get("dir")):
        return real(*args, **kwargs)
    raise PermissionError("read-only")

real, tempfile.TemporaryFile = tempfile.TemporaryFile, nowhere
from phylogfn.kernels.topology_numba import children_batch
import numba
print(Path(numba.config.CACHE_DIR).is_dir(), numba.config.CACHE_DIR)
"""


def test_kernels_work_where_compiled_code_can_be_kept_nowhere():
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY],
        env=environment,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    there, place = done.stdout.split()
    assert there == "True" and not Path(place).exists()
