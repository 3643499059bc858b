"""References of methods, as text or BibTeX.

The references of the engine are in ``references.toml`` in this folder; the programs have their own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "ENGINE_REFERENCES",
    "Reference",
    "bibtex",
    "citations_text",
    "plain_text",
    "read_references",
    "select",
]


@dataclass(frozen=True)
class Reference:
    """A publication.

    Parameters
    ----------
    use : str
        The reason for citing it.
    authors : str
        ``Surname, Initials and Surname, Initials``.
    title, source : str
        Title, and journal, proceedings or book.
    year : int
        Year of publication.
    volume, pages, doi : str
        If they exist; ``doi`` without the resolver.
    url : str
        If there is no DOI.
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


def read_references(path: Path) -> dict[str, Reference]:
    """Return the references of a TOML file, a table each, by their key."""
    text = path.read_text(encoding="utf-8")
    return {key: Reference(**entry) for key, entry in tomllib.loads(text).items()}


ENGINE_REFERENCES: dict[str, Reference] = read_references(
    Path(__file__).with_name("references.toml")
)
"""What the engine may be cited for."""


def select(known: Mapping[str, Reference], keys: Iterable[str]) -> dict[str, Reference]:
    """Return the references of some methods, each publication once, in the order asked for.

    Raises
    ------
    KeyError
        A key is not known.
    """
    found: dict[str, Reference] = {}
    for key in keys:
        reference = known[key]
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


def citations_text(found: Mapping[str, Reference], *, as_bibtex: bool = False) -> str:
    """Return references and the reasons for citing them, as printed by the command ``cite``."""
    if as_bibtex:
        return "\n\n".join(bibtex(key, reference) for key, reference in found.items())
    return "\n".join(
        f"{reference.use[0].upper()}{reference.use[1:]}:\n  {plain_text(reference)}"
        for reference in found.values()
    )
