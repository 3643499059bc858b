"""Compilation of the kernels of a run before it begins, by a rehearsal on molecules of a few atoms.

Compilation depends only on the types of arrays, not on the data. If the kernels are in Numba's
cache, it takes a fraction of a second.
"""

from __future__ import annotations

import io
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from gfncore.program.progress import Progress
from molgen.runs.sample import main as sampling
from molgen.runs.sample.run import SampleRun
from molgen.settings import MoleculeSettings, SampleSettings
from molgen.symmetry import Symmetry

__all__ = ["warm_up"]

_FRAGMENTS = "[*]c1ccc([*])cc1 p\n[*]C([*])=O c\n[*]N([*])C n\n[*]CC([*])C e\n"


def warm_up(settings: MoleculeSettings, symmetry: Symmetry = "merged") -> None:
    """Compile the kernels for a run in the environment of these settings.

    Parameters
    ----------
    settings : MoleculeSettings
        Settings of ``molgen sample`` or ``molgen exact``.
    symmetry : str
        Correction for symmetry.
    """
    torch.set_num_threads(1)  # as the run does: threads that wait for one another are slow
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(1) as pool,
        Progress("molgen", quiet=True, stream=io.StringIO()) as progress,
    ):
        few = Path(folder) / "few.smi"
        few.write_text(_FRAGMENTS)
        limits: dict[str, dict[str, Any]] = {
            "fragments": {"fragments": str(few), "max_fragments": 3},
            "atoms": {"elements": ("C", "N"), "max_atoms": 5},
        }
        small = SampleSettings(
            output=Path(folder) / "out",
            environment=settings.environment,
            symmetry=symmetry,
            budget="1h",
            threads=1,
            device="cpu",
            samples=4,
            **limits[settings.environment],
        )
        run = SampleRun(small, progress, pool)
        try:
            sampling.rehearse(run)
        finally:
            run.scoring.close()


if __name__ == "__main__":  # `make install` compiles the kernels of the demo
    warm_up(SampleSettings(output=Path("-")))
