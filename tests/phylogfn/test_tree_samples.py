"""Sets of trees as users have them."""

from __future__ import annotations

import gzip

import pytest

from gfncore.errors import UserError
from phylogfn.tree_samples import read_tree_sample


@pytest.fixture
def write(tmp_path):
    def make(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return make


def test_splits_lengths_and_order_of_names(write):
    sample = read_tree_sample(write("x.nwk", "(d:1,(c:2,b:3):4,a:5);"))
    assert sample.names == ("a", "b", "c", "d")
    # The root of the text is not leaf 0: bit 0 (a) is never in a split.
    assert sample.branches[0] == {0b1000: 1, 0b0100: 2, 0b0010: 3, 0b0110: 4, 0b1110: 5}


def test_the_two_branches_of_a_root_are_one(write):
    sample = read_tree_sample(write("x.nwk", "((a:1,b:1):2,(c:1,d:1):3);"))
    assert sample.branches[0][0b1100] == 5.0


def test_rooted_and_unrooted_are_one_topology(write):
    text = "((a,b),(c,d));\n(a,b,(c,d));\n(((a,b),c),d);\n((a,c),(b,d));"
    sample = read_tree_sample(write("x.nwk", text))
    assert sorted(sample.topology_weights().values()) == [0.25, 0.75]


def test_burnin_is_for_chains_alone(write):
    text = "((a,b),(c,d));\n" * 8
    assert len(read_tree_sample(write("x.nwk", text)).branches) == 8
    chain = read_tree_sample(write("x.t", text))
    assert (len(chain.branches), chain.n_read) == (6, 8)
    assert len(read_tree_sample(write("x.t", text), burnin=0.0).branches) == 8


def test_mrbayes_files(write):
    head = "#NEXUS\n[ID: 1]\nbegin trees;\n translate\n 1 a,\n 2 b,\n 3 c,\n 4 d,\n 5 e;\n"
    chain = head + "".join(
        f" tree gen.{i} = [&U] ((2:.1,3:.1):.05,4:.2,(5:.1,1:.1):.3);\n" for i in range(4)
    )
    sample = read_tree_sample(write("x.run1.t", chain + "end;\n"))
    assert len(sample.branches) == 3
    probabilities = head + (
        " tree tree_1 [p = 0.8, P = 0.8] = [&W 0.8] (1,2,(3,(4,5)));\n"
        " tree tree_2 [p = 0.2, P = 1.0] = [&W 0.2] (1,3,(2,(4,5)));\nend;\n"
    )
    sample = read_tree_sample(write("x.trprobs", probabilities))
    assert sample.weights == (0.8, 0.2)
    assert sample.split_table().supports[0b11000] == pytest.approx(1.0)
    assert sample.split_table().supports[0b11100] == pytest.approx(0.8)


def test_gzipped(tmp_path):
    path = tmp_path / "x.t.gz"
    path.write_bytes(gzip.compress(b"((a,b),(c,d));\n" * 4))
    assert len(read_tree_sample(path).branches) == 3


def test_table_with_probabilities(write):
    sample = read_tree_sample(
        write("t.tsv", "probability\tnewick\n0.75\t((a,b),c,d);\n0.25\t((a,c),b,d);\n")
    )
    assert sample.weights == (0.75, 0.25)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.nwk", "(a,b,(c,e));", "taxon 'e' is not among the 4 taxa"),
        ("x.nwk", "(a,b,c);", "1 of 4 taxa are missing, such as 'd'"),
        ("x.nwk", "(a,b,(c,d),c);", "taxon"),
        ("t.tsv", "probability\ttree\n1\t(a,b,(c,d));\n", "no column 'newick'"),
        ("t.tsv", "probability\tnewick\nx\t(a,b,(c,d));\n", "line 2: 'x' is not a probability"),
        ("t.tsv", "probability\tnewick\n1\t\n", "is empty"),
        ("t.tsv", "probability\tnewick\n", "no trees"),
        ("t.tsv", "probability\tnewick\n0\t(a,b,(c,d));\n", "no tree has any weight"),
        ("x.nwk", "[&W 0] (a,b,(c,d));\n[&W 0] (a,c,(b,d));", "no tree has any weight"),
    ],
)
def test_errors_say_file_and_place(write, name, text, words):
    with pytest.raises(UserError) as caught:
        read_tree_sample(write(name, text), ("a", "b", "c", "d"))
    assert words in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_burnin_out_of_range(write):
    with pytest.raises(UserError, match="share of the trees"):
        read_tree_sample(write("x.t", "(a,b,(c,d));"), burnin=1.0)
