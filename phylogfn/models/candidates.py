"""The models that ``--model auto`` compares."""

from __future__ import annotations

from itertools import product

__all__ = ["AUTO", "candidate_names", "is_auto"]

AUTO = "auto"
RATES = ("", "+G4", "+I+G4")
DNA = ("JC69", "K80", "HKY85", "GTR")
PROTEIN = ("LG", "WAG", "JTT", "Q.pfam")


def is_auto(text: str) -> bool:
    """Return whether a text asks for the choice of a model."""
    return text.strip().lower() == AUTO


def candidate_names(alphabet: str) -> tuple[str, ...]:
    """Return the candidates for ``dna``, ``rna`` or ``protein``, simple ones first.

    Examples
    --------
    >>> candidate_names("dna")[:4]
    ('JC69', 'K80', 'HKY85', 'GTR')
    """
    if alphabet == "protein":
        return tuple(f"{m}{f}{r}" for r, f, m in product(RATES, ("", "+F"), PROTEIN))
    return tuple(m + r for r, m in product(RATES, DNA))
