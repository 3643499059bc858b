"""Spaces small enough to enumerate: the exact distributions of samplers, and the truth."""

from molgen.runs.exact.comparison import Comparison, compare, draw_molecules
from molgen.runs.exact.run import row_warnings, run_exact
from molgen.runs.exact.space import Space, enumerate_space, policy_distribution
from molgen.runs.exact.theory import ideal_distribution, jensen_shannon
from molgen.runs.exact.training import Recipe, Trained, train_policy

__all__ = [
    "Comparison",
    "Recipe",
    "Space",
    "Trained",
    "compare",
    "draw_molecules",
    "enumerate_space",
    "ideal_distribution",
    "jensen_shannon",
    "policy_distribution",
    "row_warnings",
    "run_exact",
    "train_policy",
]
