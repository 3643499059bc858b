"""Compilation of the kernels of a run before it begins, by a rehearsal on five taxa.

Compilation depends only on the types of arrays, not on the data. If the kernels are in Numba's
cache, it takes a fraction of a second.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import torch

from gfncore.program.progress import Progress
from phylogfn.runs.parsimony.main import rehearse as rehearse_parsimony
from phylogfn.runs.parsimony.run import ParsimonyRun
from phylogfn.runs.sample.main import rehearse as rehearse_sampling
from phylogfn.runs.sample.run import SampleRun
from phylogfn.settings import ParsimonySettings, SampleSettings

__all__ = ["warm_up_parsimony", "warm_up_sampling"]

_TOY = ">a\nACGTACGTAC\n>b\nACGTACGAAC\n>c\nACCTTCGAAC\n>d\nAGCTTCGATC\n>e\nAGCTTGGATG\n"
_ALIKE = (
    "environment",
    "threads",
    "backward_policy",
    "branch_lengths",
)  # settings that determine the kernels


def warm_up_sampling(settings: SampleSettings) -> None:
    """Compile the kernels for ``phylogfn sample`` with these settings."""
    with tempfile.TemporaryDirectory() as folder:
        given = _small(settings, folder)
        if settings.constraint is not None:
            constraint = Path(folder) / "constraint.txt"
            constraint.write_text("a b\n")
            given["constraint"] = str(constraint)
        small = SampleSettings(**given)
        rehearse_sampling(SampleRun(small, _silent()))


def warm_up_parsimony(settings: ParsimonySettings) -> None:
    """Compile the kernels for ``phylogfn parsimony`` with these settings."""
    with tempfile.TemporaryDirectory() as folder:
        small = ParsimonySettings(**_small(settings, folder))
        rehearse_parsimony(ParsimonyRun(small, _silent()))


def _small(settings: SampleSettings | ParsimonySettings, folder: str) -> dict[str, Any]:
    torch.set_num_threads(1)  # as the run does: threads that wait for one another are slow
    toy = Path(folder) / "toy.fasta"
    toy.write_text(_TOY)
    own = settings.model_dump()
    given = {name: own[name] for name in _ALIKE if name in own}
    return given | {
        "alignment": str(toy),
        "output": Path(folder) / "out",
        "budget": "1h",
        "device": "cpu",
    }


def _silent() -> Progress:
    return Progress("phylogfn", quiet=True, stream=io.StringIO())


if __name__ == "__main__":  # `make install` compiles the kernels of the demo
    warm_up_sampling(SampleSettings(alignment="-", output=Path("-")))
