"""What to cite: the references of the methods that a run used, as text or BibTeX."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "ALWAYS_CITED",
    "REFERENCES",
    "Reference",
    "bibtex",
    "methods_of_model",
    "plain_text",
    "references",
]


@dataclass(frozen=True)
class Reference:
    """A publication.

    Parameters
    ----------
    use : str
        What it is cited for.
    authors : str
        ``Surname, Initials and Surname, Initials``.
    title, source : str
        Title, and journal, proceedings or book.
    year : int
        Year of publication.
    volume, pages, doi : str
        Where they exist; ``doi`` without the resolver.
    url : str
        When there is no DOI.
    kind : str
        BibTeX entry type.
    """

    use: str
    authors: str
    title: str
    source: str
    year: int
    volume: str = ""
    pages: str = ""
    doi: str = ""
    url: str = ""
    kind: str = "article"

    @property
    def link(self) -> str:
        """Where to find it."""
        return f"https://doi.org/{self.doi}" if self.doi else self.url


def _read_references() -> dict[str, Reference]:
    text = Path(__file__).with_name("references.toml").read_text(encoding="utf-8")
    return {key: Reference(**entry) for key, entry in tomllib.loads(text).items()}


REFERENCES: dict[str, Reference] = _read_references()
"""All references by their key; they stand in ``references.toml``."""

ALWAYS_CITED = (
    "phylogfn",
    "gflownet",
    "trajectory_balance",
    "pruning",
    "pareto_k",
    "majority_rule",
)
"""What every run of ``phylogfn sample`` uses."""


def methods_of_model(model: str) -> tuple[str, ...]:
    """Return the keys of the references of a substitution model such as ``HKY85+G4+I``."""
    base, *parts = re.split(r"\+", re.sub(r"\{[^}]*\}", "", model).upper())
    synonyms = {"JC": "jc69", "HKY": "hky85", "K2P": "k80"}
    key = synonyms.get(base, base.lower())
    keys = [key] if key in REFERENCES else []
    keys += ["gamma"] if any(re.fullmatch(r"G\d*", part) for part in parts) else []
    keys += ["invariant"] if "I" in parts else []
    return tuple(keys)


def references(keys: Iterable[str] = ALWAYS_CITED) -> dict[str, Reference]:
    """Return the references of some methods, each publication once, in the order asked for.

    Raises
    ------
    KeyError
        A key is not known.
    """
    found: dict[str, Reference] = {}
    for key in keys:
        reference = REFERENCES[key]
        if not any(other.title == reference.title for other in found.values()):
            found[key] = reference
    return found


def plain_text(reference: Reference) -> str:
    """Return a reference as one line of text."""
    authors = reference.authors.split(" and ")
    if authors[-1] == "others":
        names = f"{authors[0].replace(',', '')} et al."
    else:
        names = ", ".join(
            author.replace(", ", " ").replace(". ", "").replace(".", "") for author in authors
        )
    where = reference.source
    if reference.volume:
        where += f" {reference.volume}"
    if reference.pages:
        where += ":" + reference.pages.replace("--", "\u2013")
    link = f" {reference.link}" if reference.link else ""
    return f"{names} ({reference.year}). {reference.title}. {where}.{link}"


def bibtex(key: str, reference: Reference) -> str:
    """Return a reference as a BibTeX entry."""
    field = {"article": "journal", "inproceedings": "booktitle", "incollection": "booktitle"}
    entries = {
        "author": reference.authors,
        "title": f"{{{reference.title}}}",
        field[reference.kind]: reference.source,
        "year": str(reference.year),
        "volume": reference.volume,
        "pages": reference.pages,
        "doi": reference.doi,
        "url": "" if reference.doi else reference.url,
        "note": f"Cited for {reference.use}",
    }
    lines = [f"  {name} = {{{value}}}," for name, value in entries.items() if value]
    return "\n".join([f"@{reference.kind}{{{key},", *lines, "}"])
