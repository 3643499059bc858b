"""What to cite: the references of the methods that a run used, as text or BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

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


_MBE = "Molecular Biology and Evolution"
_JME = "Journal of Molecular Evolution"
_NIPS = "Advances in Neural Information Processing Systems"

REFERENCES: dict[str, Reference] = {
    "phylogfn": Reference(
        "generative flow networks over phylogenetic trees",
        "Zhou, M. and Yan, Z. and Layne, E. and Malkin, N. and Zhang, D. and Jain, M. "
        "and Blanchette, M. and Bengio, Y.",
        "PhyloGFN: phylogenetic inference with generative flow networks",
        "International Conference on Learning Representations",
        2024,
        url="https://arxiv.org/abs/2310.08774",
        kind="inproceedings",
    ),
    "gflownet": Reference(
        "generative flow networks",
        "Bengio, Y. and Lahlou, S. and Deleu, T. and Hu, E. J. and Tiwari, M. and Bengio, E.",
        "GFlowNet foundations",
        "Journal of Machine Learning Research",
        2023,
        "24",
        "1--55",
        url="https://jmlr.org/papers/v24/22-0364.html",
    ),
    "trajectory_balance": Reference(
        "the trajectory balance objective",
        "Malkin, N. and Jain, M. and Bengio, E. and Sun, C. and Bengio, Y.",
        "Trajectory balance: improved credit assignment in GFlowNets",
        _NIPS,
        2022,
        "35",
        url="https://arxiv.org/abs/2201.13259",
        kind="inproceedings",
    ),
    "pruning": Reference(
        "the likelihood of a tree",
        "Felsenstein, J.",
        "Evolutionary trees from DNA sequences: a maximum likelihood approach",
        _JME,
        1981,
        "17",
        "368--376",
        "10.1007/BF01734359",
    ),
    "pareto_k": Reference(
        "the Pareto diagnostic of importance weights",
        "Vehtari, A. and Simpson, D. and Gelman, A. and Yao, Y. and Gabry, J.",
        "Pareto smoothed importance sampling",
        "Journal of Machine Learning Research",
        2024,
        "25",
        "1--58",
        url="https://jmlr.org/papers/v25/19-556.html",
    ),
    "majority_rule": Reference(
        "majority-rule consensus trees",
        "Margush, T. and McMorris, F. R.",
        "Consensus n-trees",
        "Bulletin of Mathematical Biology",
        1981,
        "43",
        "239--244",
        "10.1007/BF02459446",
    ),
    "neighbour_joining": Reference(
        "starting trees by neighbour joining",
        "Saitou, N. and Nei, M.",
        "The neighbor-joining method: a new method for reconstructing phylogenetic trees",
        _MBE,
        1987,
        "4",
        "406--425",
        "10.1093/oxfordjournals.molbev.a040454",
    ),
    "parsimony": Reference(
        "starting trees by parsimony",
        "Fitch, W. M.",
        "Toward defining the course of evolution: minimum change for a specific tree topology",
        "Systematic Zoology",
        1971,
        "20",
        "406--416",
        "10.2307/2412116",
    ),
    "conditional_clades": Reference(
        "conditional clade distributions",
        "Larget, B.",
        "The estimation of tree posterior probabilities using conditional clade probability "
        "distributions",
        "Systematic Biology",
        2013,
        "62",
        "501--511",
        "10.1093/sysbio/syt014",
    ),
    "asdsf": Reference(
        "the average standard deviation of split frequencies",
        "Lakner, C. and van der Mark, P. and Huelsenbeck, J. P. and Larget, B. and Ronquist, F.",
        "Efficiency of Markov chain Monte Carlo tree proposals in Bayesian phylogenetics",
        "Systematic Biology",
        2008,
        "57",
        "86--103",
        "10.1080/10635150801886156",
    ),
    "robinson_foulds": Reference(
        "the distance between trees",
        "Robinson, D. F. and Foulds, L. R.",
        "Comparison of phylogenetic trees",
        "Mathematical Biosciences",
        1981,
        "53",
        "131--147",
        "10.1016/0025-5564(81)90043-2",
    ),
    "jc69": Reference(
        "the model JC69",
        "Jukes, T. H. and Cantor, C. R.",
        "Evolution of protein molecules",
        "Mammalian Protein Metabolism (ed. Munro, H. N.)",
        1969,
        pages="21--132",
        doi="10.1016/B978-1-4832-3211-9.50009-7",
        kind="incollection",
    ),
    "k80": Reference(
        "the model K80",
        "Kimura, M.",
        "A simple method for estimating evolutionary rates of base substitutions through "
        "comparative studies of nucleotide sequences",
        _JME,
        1980,
        "16",
        "111--120",
        "10.1007/BF01731581",
    ),
    "f81": Reference(
        "the model F81",
        "Felsenstein, J.",
        "Evolutionary trees from DNA sequences: a maximum likelihood approach",
        _JME,
        1981,
        "17",
        "368--376",
        "10.1007/BF01734359",
    ),
    "hky85": Reference(
        "the model HKY85",
        "Hasegawa, M. and Kishino, H. and Yano, T.",
        "Dating of the human-ape splitting by a molecular clock of mitochondrial DNA",
        _JME,
        1985,
        "22",
        "160--174",
        "10.1007/BF02101694",
    ),
    "gtr": Reference(
        "the model GTR",
        "Tavar{\\'e}, S.",
        "Some probabilistic and statistical problems in the analysis of DNA sequences",
        "Lectures on Mathematics in the Life Sciences",
        1986,
        "17",
        "57--86",
    ),
    "lg": Reference(
        "the model LG",
        "Le, S. Q. and Gascuel, O.",
        "An improved general amino acid replacement matrix",
        _MBE,
        2008,
        "25",
        "1307--1320",
        "10.1093/molbev/msn067",
    ),
    "wag": Reference(
        "the model WAG",
        "Whelan, S. and Goldman, N.",
        "A general empirical model of protein evolution derived from multiple protein families "
        "using a maximum-likelihood approach",
        _MBE,
        2001,
        "18",
        "691--699",
        "10.1093/oxfordjournals.molbev.a003851",
    ),
    "jtt": Reference(
        "the model JTT",
        "Jones, D. T. and Taylor, W. R. and Thornton, J. M.",
        "The rapid generation of mutation data matrices from protein sequences",
        "Computer Applications in the Biosciences",
        1992,
        "8",
        "275--282",
        "10.1093/bioinformatics/8.3.275",
    ),
    "dayhoff": Reference(
        "the model Dayhoff",
        "Dayhoff, M. O. and Schwartz, R. M. and Orcutt, B. C.",
        "A model of evolutionary change in proteins",
        "Atlas of Protein Sequence and Structure",
        1978,
        "5 (suppl. 3)",
        "345--352",
        kind="incollection",
    ),
    "gamma": Reference(
        "gamma-distributed rates across sites",
        "Yang, Z.",
        "Maximum likelihood phylogenetic estimation from DNA sequences with variable rates over "
        "sites: approximate methods",
        _JME,
        1994,
        "39",
        "306--314",
        "10.1007/BF00160154",
    ),
    "invariant": Reference(
        "invariant sites",
        "Gu, X. and Fu, Y. X. and Li, W. H.",
        "Maximum likelihood estimation of the heterogeneity of substitution rate among nucleotide "
        "sites",
        _MBE,
        1995,
        "12",
        "546--557",
        "10.1093/oxfordjournals.molbev.a040235",
    ),
    "numba": Reference(
        "compiled likelihood kernels",
        "Lam, S. K. and Pitrou, A. and Seibert, S.",
        "Numba: a LLVM-based Python JIT compiler",
        "Proceedings of the Second Workshop on the LLVM Compiler Infrastructure in HPC",
        2015,
        doi="10.1145/2833157.2833162",
        kind="inproceedings",
    ),
    "pytorch": Reference(
        "training of the network",
        "Paszke, A. and others",
        "PyTorch: an imperative style, high-performance deep learning library",
        _NIPS,
        2019,
        "32",
        url="https://arxiv.org/abs/1912.01703",
        kind="inproceedings",
    ),
    "pyg": Reference(
        "the graph network",
        "Fey, M. and Lenssen, J. E.",
        "Fast graph representation learning with PyTorch Geometric",
        "ICLR Workshop on Representation Learning on Graphs and Manifolds",
        2019,
        url="https://arxiv.org/abs/1903.02428",
        kind="inproceedings",
    ),
}

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
    authors = reference.authors.replace("{\\'e}", "\u00e9").split(" and ")
    if authors[-1] == "others":
        names = f"{authors[0].replace(',', '')} et al."
    else:
        names = ", ".join(author.replace(", ", " ").replace(". ", "").replace(".", "")
                          for author in authors)
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
