"""The environment that settings describe."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gfncore.errors import UserError
from molgen.environments.atoms import AtomEnvironment
from molgen.environments.base import MoleculeEnvironment
from molgen.environments.fragments import FragmentEnvironment
from molgen.fragments.vocabulary import Vocabulary
from molgen.molecules.graph import AtomTable
from molgen.settings import MoleculeSettings

__all__ = ["make_environment"]


def make_environment(
    settings: MoleculeSettings,
    score: Callable[[list[str]], np.ndarray],
    symmetry: str = "merged",
    report: Callable[[int, int], None] | None = None,
) -> MoleculeEnvironment:
    """Return the environment of a run.

    Parameters
    ----------
    settings : MoleculeSettings
    score : callable
        Distinct canonical SMILES -> log R, float64, nats.
    symmetry : {"merged", "reward_scaling", "flow_scaling", "none"}
    report : callable, optional
        Called with the lines read and all lines of a file of fragments, now and then.

    Raises
    ------
    UserError
        A limit, the core, an element or the file of fragments will not do.
    """
    assert settings.max_atoms is not None
    if settings.environment == "atoms":
        assert settings.elements is not None and settings.strained is not None
        return AtomEnvironment(
            AtomTable.of(settings.elements),
            settings.max_atoms,
            score,
            symmetry=symmetry,
            ring_sizes=settings.allowed_ring_sizes,
            max_rings=settings.most_rings,
            strained=settings.strained,
            core=settings.core,
        )
    assert settings.max_fragments is not None
    if settings.fragments is None:
        vocabulary = Vocabulary.default()
    else:
        path = Path(settings.fragments)
        if not os.path.isfile(path):  # unlike Path.is_file, for a name too long, too
            raise UserError(f"--fragments {path}: there is no such file")
        vocabulary = Vocabulary.read(path, report)
    return FragmentEnvironment(
        vocabulary,
        score,
        symmetry=symmetry,
        max_fragments=settings.max_fragments,
        max_atoms=settings.max_atoms,
        core=settings.core,
    )
