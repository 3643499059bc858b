"""References to cite for a tree, by the methods of its run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from gfncore.program.citations import (
    ENGINE_REFERENCES,
    Reference,
    bibtex,
    citations_text,
    plain_text,
    read_references,
    select,
)

__all__ = [
    "ALWAYS_CITED",
    "ANCESTRAL_METHODS",
    "PREDICTIVE_METHODS",
    "REFERENCES",
    "REPEATED_RUNS_METHODS",
    "Reference",
    "bibtex",
    "citations_text",
    "methods_of_branch_lengths",
    "methods_of_branch_prior",
    "methods_of_environment",
    "methods_of_model",
    "methods_of_parsimony",
    "plain_text",
    "references",
]

REFERENCES: dict[str, Reference] = {
    **read_references(Path(__file__).with_name("references.toml")),
    **ENGINE_REFERENCES,
}
"""All references by their key: those of ``references.toml`` and the engine's."""

ALWAYS_CITED = (
    "phylogfn",
    "gflownet",
    "trajectory_balance",
    "pruning",
    "pareto_k",
    "majority_rule",
    "clade_credibility",
)
"""What every run of ``phylogfn sample`` uses."""

ANCESTRAL_METHODS = ("ancestral_states", "ancestral_average")
"""What the reconstruction of ancestral sequences uses."""

PREDICTIVE_METHODS = ("predictive_checks", "multinomial_likelihood", "composition_test")
"""What posterior predictive checks use."""

REPEATED_RUNS_METHODS = ("asdsf", "random_effects", "balance_heuristic")
"""What the comparison and combination of independent runs use."""

# models that a publication introduced under other names
_VARIANTS = {
    "k81": "k81uf",
    "tn93": "tne",
    "tim": "(tim|tpm)[23]?(e|uf)?|tvme?",
    "lg4": "lg4[mx]",
    "mk": "mkv",
}


def methods_of_model(model: str) -> tuple[str, ...]:
    """Return the keys of the references of a substitution model such as ``HKY85+G4+I``."""
    from phylogfn.models.dna import DNA_ALIASES

    base, *parts = re.split(r"\+", re.sub(r"\{[^}]*\}", "", model).upper())
    name = DNA_ALIASES.get(base, base).lower()
    key = next((key for key, names in _VARIANTS.items() if re.fullmatch(names, name)), name)
    keys = [key] if key in REFERENCES else []
    keys += ["profiles"] if any(re.fullmatch(r"C[1-6]0", part) for part in (base, *parts)) else []
    keys += ["gamma"] if any(re.fullmatch(r"G\d*", part) for part in parts) else []
    keys += ["free_rates"] if any(re.fullmatch(r"R\d*", part) for part in parts) else []
    keys += ["invariant"] if "I" in parts else []
    keys += ["ascertainment"] if "ASC" in parts else []
    return tuple(keys)


def methods_of_branch_prior(prior: str) -> tuple[str, ...]:
    """Return the keys of the references of a prior on branch lengths such as ``exp:10``."""
    coupled = prior.partition(":")[0].strip().lower() in ("gammadir", "invgammadir", "invgamdir")
    return ("compound_dirichlet", "compound_dirichlet_robust") if coupled else ()


def methods_of_branch_lengths(method: str) -> tuple[str, ...]:
    """Return the keys of the references of a method of drawing lengths, such as ``annealed``."""
    of_joint = ("adaptive_importance_sampling",) if method in ("joint", "annealed") else ()
    return (*of_joint, *(("annealed_importance_sampling",) if method == "annealed" else ()))


# by environment, and whether trees are built with their branch lengths
_TRAINING: dict[tuple[str, bool], tuple[str, ...]] = {
    ("merging", False): ("local_search", "muon"),
    ("merging", True): ("continuous_gflownet", "subsplit_lengths", "muon"),
}


def methods_of_environment(environment: str, branch_lengths: str = "collapsed") -> tuple[str, ...]:
    """Return the keys of the references of the training in an environment, by its name.

    ``branch_lengths`` is the setting of this name.
    """
    return _TRAINING.get((environment, branch_lengths != "collapsed"), ())


def methods_of_parsimony(ordered: bool, trained: bool) -> tuple[str, ...]:
    """Return the keys of the references of a run of ``phylogfn parsimony``.

    Parameters
    ----------
    ordered : bool
        Whether there are ordered characters.
    trained : bool
        Whether a sampler was trained.
    """
    keys = ["phylogfn", "fitch", "ratchet"]
    keys += ["ordered"] if ordered else []
    keys += ["gflownet", "trajectory_balance", "temperature", "pareto_k"] if trained else []
    return (*keys, "majority_rule")


def references(keys: Iterable[str] = ALWAYS_CITED) -> dict[str, Reference]:
    """Return the references of some methods, each publication once, in the order asked for.

    Raises
    ------
    KeyError
        A key is not known.
    """
    return select(REFERENCES, keys)
