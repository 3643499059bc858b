"""Substitution and rate models of nucleotides, amino acids and morphological characters."""

from phylogfn.models.dna import DNA_MODELS, GTR_PAIRS, NUCLEOTIDES
from phylogfn.models.frequencies import empirical_frequencies
from phylogfn.models.mixtures import FOUR_MATRICES, PROFILES
from phylogfn.models.morphology import MORPHOLOGY_MODELS, MorphologySpec
from phylogfn.models.parameters import Parameter, Prior, parse_prior
from phylogfn.models.parsing import parse_model
from phylogfn.models.partitioned import LINKABLE, PartitionedSpec, partitioned_spec, shareable
from phylogfn.models.protein import AMINO_ACIDS, PROTEIN_MODELS
from phylogfn.models.spec import ModelSpec
from phylogfn.models.substitution import (
    MixtureModel,
    PartitionedModel,
    SiteModel,
    SubstitutionModel,
)

__all__ = [
    "AMINO_ACIDS",
    "DNA_MODELS",
    "FOUR_MATRICES",
    "GTR_PAIRS",
    "LINKABLE",
    "MORPHOLOGY_MODELS",
    "MixtureModel",
    "ModelSpec",
    "MorphologySpec",
    "NUCLEOTIDES",
    "PROFILES",
    "PROTEIN_MODELS",
    "Parameter",
    "PartitionedModel",
    "PartitionedSpec",
    "Prior",
    "SiteModel",
    "SubstitutionModel",
    "empirical_frequencies",
    "parse_model",
    "parse_prior",
    "partitioned_spec",
    "shareable",
]
