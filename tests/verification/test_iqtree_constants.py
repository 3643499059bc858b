"""Log-likelihoods against IQ-TREE 2.0.7 at fixed models, topologies and branch lengths.

Each constant is the "Log-likelihood of the tree" that this command wrote to out.iqtree, with the
alignment and the tree below in the two files and MODEL the string beside the constant:

    iqtree2 -s alignment.fasta -te tree.nwk -m MODEL -blfix --redo -nt 1 -pre out -seed 1
"""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from Bio import SeqIO
from Bio.Data import CodonTable

from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.patterns import compress
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.trees.files import read_trees
from phylogfn.trees.tree import Tree

_file = importlib.util.spec_from_file_location(
    "plain_likelihood", Path(__file__).parents[1] / "phylogfn" / "plain_likelihood.py"
)
assert _file is not None and _file.loader is not None
plain = importlib.util.module_from_spec(_file)
_file.loader.exec_module(plain)

DNA_FASTA = """>t1
ACGTTACGGATCCGATTAGCCATTGACCGTAAGCTTACGAGGTCATNA
>t2
ACGTTACGGATCTGATTAGCCATTGATCGTAAGCTTACGAGATCATCA
>t3
ACATTGCGGACCCGATTGGCCACTGACCGTAGGCTCACGAGGTCGTCR
>t4
ACATTGCGAACCCGGTTGGCTACTGACTGTAGGCTCAC--GGTCGTYA
>t5
GCATCGCTAACACGGTCGGTTACAGGCTGCAGACCCACGAAGTCGTCA
>t6
GCTTCGCTAACACGGTCGGTTACAGGCTGTAGACCCATGAAGTCGACA
"""
# (t1:0.05,t2:0.02,((t3:0.03,t4:0.06):0.04,(t5:0.07,t6:0.04):0.15):0.08);
DNA_TREE = Tree.from_parents(
    [-1, 6, 8, 8, 9, 9, 0, 6, 7, 7], [0, 0.02, 0.03, 0.06, 0.07, 0.04, 0.05, 0.08, 0.04, 0.15]
)
DNA_CONSTANTS = {
    "JC": -210.1356,
    "K80{2.5}": -197.4656,
    "F81+F{0.1,0.2,0.3,0.4}": -220.3398,
    "HKY{2.5}+F{0.1,0.2,0.3,0.4}": -207.6195,
    "HKY{2.5}+F": -197.7595,
    "GTR{1.2,3.4,0.7,0.9,4.1}+F{0.1,0.2,0.3,0.4}": -204.6350,
    "TNe{2.5,4.1}": -195.3687,
    "TN{2.5,4.1}+F{0.1,0.2,0.3,0.4}": -206.9646,
    "K81{2.5,0.6}": -195.7284,
    "K81uf{2.5,0.6}+F{0.1,0.2,0.3,0.4}": -205.9573,
    "TPM2{0.6,2.5}+FQ": -196.2844,
    "TPM2u{0.6,2.5}+F{0.1,0.2,0.3,0.4}": -207.3379,
    "TPM3{0.6,2.5}+FQ": -194.5178,
    "TPM3u{0.6,2.5}+F{0.1,0.2,0.3,0.4}": -205.4526,
    "TIMe{2.5,0.6,4.1}": -194.0908,
    "TIM{2.5,0.6,4.1}+F{0.1,0.2,0.3,0.4}": -205.8848,
    "TIM2e{0.6,2.5,4.1}": -194.6511,
    "TIM2{0.6,2.5,4.1}+F{0.1,0.2,0.3,0.4}": -207.1158,
    "TIM3e{0.6,2.5,4.1}": -192.9316,
    "TIM3{0.6,2.5,4.1}+F{0.1,0.2,0.3,0.4}": -205.2809,
    "TVMe{0.6,2.5,1.7,0.3}": -194.2021,
    "TVM{0.6,2.5,1.7,0.3}+F{0.1,0.2,0.3,0.4}": -204.9155,
    "SYM{1.2,3.4,0.7,0.9,4.1}": -194.1579,
    "010212{2.5,0.6,1.4}+F{0.1,0.2,0.3,0.4}": -239.8453,
    "001122{0.6,2.5}+F{0.1,0.2,0.3,0.4}": -235.6525,
    "010203{0.6,2.5,1.4}+FQ": -210.9377,
    "JC+G4{0.5}": -217.2888,
    "JC+R3{0.5,0.2,0.3,2,0.2,6}": -217.4696,
    "GTR{1.2,3.4,0.7,0.9,4.1}+F{0.1,0.2,0.3,0.4}+R4{0.4,0.05,0.3,0.6,0.2,2,0.1,4}": -212.8982,
    "JC+R3{0.2,0,0.4,0.25,0.4,1.75}": -215.8016,
    # of the same mixture as the model before it: IQ-TREE 2.0.7 ends with an error for +I{}+R{}
    "JC+I{0.2}+R2{0.5,0.25,0.5,1.75}": -215.8016,
    "JC+I{0.2}": -211.5047,
    "GTR{1.2,3.4,0.7,0.9,4.1}+F{0.1,0.2,0.3,0.4}+I{0.2}+G4{0.5}": -215.6636,
}

PROTEIN_FASTA = """>p1
MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRV
>p2
MKTAYIAKQRQLSFVKSHFSRQLDERLGLIEVQAPILSRI
>p3
MRSAYIAKNRQISFVRAHFSKQLEERLGMIEVNAPVLSRV
>p4
MRSAFVAKNRQVSWVRAHFTKQIEDKLGMVE-NXPVLTKB
>p5
LRSCFVGKNKEVTWIRAYFTKQIDDKIGMVDLNGPVMTKV
"""
# (p1:0.06,p2:0.04,(p3:0.1,(p4:0.2,p5:0.35):0.15):0.12);
PROTEIN_TREE = Tree.from_parents(
    [-1, 5, 6, 7, 7, 0, 5, 6], [0, 0.04, 0.1, 0.2, 0.35, 0.06, 0.12, 0.15]
)
PROTEIN_CONSTANTS = {
    "Poisson": -331.7662,
    "LG": -268.9539,
    "WAG": -278.3347,
    "WAG+F": -276.3400,
    "JTT": -278.0511,
    "Dayhoff": -281.4439,
    "LG+I{0.1}+G4{0.7}": -286.3160,
}

CASES = [("dna", DNA_FASTA, DNA_TREE, *case) for case in DNA_CONSTANTS.items()]
CASES += [("protein", PROTEIN_FASTA, PROTEIN_TREE, *case) for case in PROTEIN_CONSTANTS.items()]


@pytest.mark.parametrize(
    ("data_type", "fasta", "tree", "name", "expected"), CASES, ids=[case[3] for case in CASES]
)
def test_log_likelihood_is_that_of_iqtree(tmp_path, data_type, fasta, tree, name, expected):
    path = tmp_path / "alignment.fasta"
    path.write_text(fasta)
    alignment = read_alignment(path, data_type=data_type)
    patterns = compress(alignment)
    model = parse_model(name, alignment.alphabet).resolve(patterns).build()
    value = plain.plain_log_likelihood(tree, patterns.masks, patterns.weights, model)
    assert value == pytest.approx(expected, abs=6e-5)  # IQ-TREE prints four decimals
    assert TreeLikelihood(patterns, model).log_likelihood(tree) == pytest.approx(value, rel=1e-10)


def test_gamma_rates_are_those_of_iqtree():
    half = parse_model("JC+G4{0.5}", "dna").build().category_rates
    np.testing.assert_allclose(half, [0.03339, 0.2519, 0.8203, 2.894], rtol=5e-4)
    mixed = parse_model("LG+I{0.1}+G4{0.7}", "protein").build()
    np.testing.assert_allclose(mixed.category_rates, [0.0824, 0.4039, 1.0276, 2.9305], rtol=1e-3)
    np.testing.assert_allclose(mixed.category_weights, 0.225)


# Cytochrome b of eight snakes from data/pythons.fasta, translated by the vertebrate mitochondrial
# code (codons that have no single amino acid are X), on this tree; the same command with -st AA.
SNAKES = (
    "(Xenopeltis_unicolor:0.074,((((Loxocemus_bicolor:0.111,Python_regius:0.069):0.018,"
    "(Liasis_fuscus:0.029,Antaresia_childreni:0.03):0.003):0.01,Morelia_viridisS:0.022):0.009,"
    "Python_reticulatus:0.027):0.026,Candoia_aspera:0.262);"
)
CYTOCHROME_CONSTANTS = {
    "Poisson": -2291.9934,
    "LG": -2129.9755,
    "WAG": -2143.5953,
    "JTT": -2120.2219,
    "VT": -2137.3570,
    "Blosum62": -2142.8377,
    "mtREV": -2005.4399,
    "mtMAM": -1993.3411,
    "cpREV": -2121.4212,
    "Q.pfam": -2133.4133,
    "Q.pfam+F+G4{0.3}": -1979.9975,
    "mtMAM+F+I{0.4}+G4{0.9}": -1935.3195,
    "cpREV+R3{0.6,0.05,0.3,1.5,0.1,5.2}": -2059.2340,
    # of MIX{LG4M1,LG4M2,LG4M3,LG4M4}*G4{0.5}, of MIX{...}*R4{...}, and of FMIX{...} with the
    # published weights, as the names alone are aliases of models with free rates
    "LG4M+G4{0.5}": -2100.1972,
    "LG4X+R4{0.3,0.2,0.3,0.7,0.2,1.5,0.2,2.5}": -2092.9012,
    "C10": -2192.4960,
    "LG+C10+G4{0.5}": -2108.3248,
    "LG+C10+R2{0.7,0.4,0.3,2.4}": -2118.5346,
    "WAG+C20+I{0.2}": -2124.2346,
    "C30": -2163.3447,
    "LG+C40": -2147.0462,
    "LG+C50": -2145.3524,
}


@pytest.fixture(scope="module")
def cytochrome(tmp_path_factory):
    """Patterns of the translated sequences, and their tree."""
    folder = tmp_path_factory.mktemp("cytochrome")
    (folder / "tree.nwk").write_text(SNAKES)
    amino_acid = CodonTable.unambiguous_dna_by_id[2].forward_table
    with open(Path(__file__).parents[2] / "data" / "pythons.fasta") as file:
        records = list(SeqIO.parse(file, "fasta"))
    text = ""
    for record in records:
        if record.id in SNAKES:
            codons = [str(record.seq[i : i + 3]) for i in range(0, len(record) - 2, 3)]
            text += f">{record.id}\n{''.join(amino_acid.get(codon, 'X') for codon in codons)}\n"
    (folder / "protein.fasta").write_text(text)
    alignment = read_alignment(folder / "protein.fasta", data_type="protein")
    tree = read_trees(folder / "tree.nwk", alignment.names).trees[0]
    return compress(alignment), tree


@pytest.mark.parametrize(("name", "expected"), CYTOCHROME_CONSTANTS.items())
def test_log_likelihood_of_a_real_protein_is_that_of_iqtree(cytochrome, name, expected):
    patterns, tree = cytochrome
    model = parse_model(name, "protein").resolve(patterns).build()
    value = TreeLikelihood(patterns, model).log_likelihood(tree)
    assert value == pytest.approx(expected, abs=6e-5)


def test_sixty_profiles_are_those_of_iqtree(cytochrome):
    patterns, tree = cytochrome
    model = parse_model("LG+C60", "protein").build()
    # IQ-TREE raises weights to 0.001, which one of the published weights is below
    weights = np.maximum(model.category_weights, 0.001)
    raised = replace(model, category_weights=weights / weights.sum())
    value = TreeLikelihood(patterns, raised).log_likelihood(tree)
    assert value == pytest.approx(-2144.8149, abs=6e-5)
    value = TreeLikelihood(patterns, model).log_likelihood(tree)
    assert value == pytest.approx(-2144.8445, abs=6e-5)
