"""Compiled code does not outlive the sources that it was made of."""

from __future__ import annotations

import os

from phylogfn.kernels import _discard_stale_code


def test_code_older_than_any_kernel_is_discarded(tmp_path):
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    for name, time in (
        ("a_numba.py", 100),
        ("b_numba.py", 300),
        ("__pycache__/a_numba.f-1.py311.nbi", 200),
        ("__pycache__/b_numba.g-1.py311.nbi", 400),
        ("__pycache__/a_numba.cpython-311.pyc", 100),
    ):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time, time))
    _discard_stale_code(tmp_path)
    assert sorted(path.name for path in cache.iterdir()) == [
        "a_numba.cpython-311.pyc",
        "b_numba.g-1.py311.nbi",
    ]
