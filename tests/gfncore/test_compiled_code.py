from __future__ import annotations

import os

from gfncore.compiled_code import discard_stale_code


def test_code_older_than_any_source_is_discarded(tmp_path):
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    files = {
        "a_numba.py": 100,
        "b_numba.py": 300,
        "plain.py": 900,
        "__pycache__/a_numba.f-1.py311.nbi": 200,
        "__pycache__/b_numba.g-1.py311.nbi": 400,
        "__pycache__/a_numba.f-1.py311.1.nbc": 200,
    }
    for name, date in files.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (date, date))
    discard_stale_code(tmp_path)
    left = sorted(path.name for path in cache.iterdir())
    assert left == ["a_numba.f-1.py311.1.nbc", "b_numba.g-1.py311.nbi"]


def test_other_files_of_the_folder_do_not_count(tmp_path):
    (tmp_path / "__pycache__").mkdir()
    for name, date in {"a_numba.py": 100, "c_numba.py": 500}.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (date, date))
    index = tmp_path / "__pycache__" / "a_numba.f-1.py311.nbi"
    index.touch()
    os.utime(index, (200, 200))
    discard_stale_code(tmp_path, "a_numba")
    assert index.exists()
    discard_stale_code(tmp_path, "?_numba")
    assert not index.exists()
