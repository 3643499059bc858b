"""Sets of trees as users have them."""

from __future__ import annotations

import gzip
import io

import pytest

from gfncore.errors import UserError
from phylogfn.cli.main import main
from phylogfn.trees.samples import read_tree_sample


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


@pytest.mark.parametrize("name", ["boot.nwk", "boot.trees", "boot.t", "boot.tsv", "boot"])
def test_the_name_of_a_file_means_nothing(write, name):
    text = "((a,b),(c,d));\n" * 3 + "((a,c),(b,d));\n" * 5
    sample = read_tree_sample(write(name, text))
    assert (len(sample.branches), sample.n_read, sample.notes) == (8, 8, ())
    table = "probability\tnewick\n0.75\t((a,b),c,d);\n"
    assert read_tree_sample(write(name, table)).weights == (0.75,)


def test_burnin_is_left_out_where_asked_for_and_told(write):
    text = "((a,b),(c,d));\n" * 8
    sample = read_tree_sample(write("x.nwk", text), burnin=0.25)
    assert (len(sample.branches), sample.n_read) == (6, 8)
    assert sample.notes == ("the first 2 of 8 trees are left out as burn-in",)


def test_burnin_is_not_for_weighted_trees(write):
    for text in (
        "[&W 0.6] ((a,b),(c,d));\n[&W 0.4] ((a,c),(b,d));\n",
        "probability\tnewick\n0.6\t((a,b),c,d);\n0.4\t((a,c),b,d);\n",
    ):
        sample = read_tree_sample(write("x", text), burnin=0.5)
        assert sample.weights == (0.6, 0.4)
        assert "--burnin is not applied" in " ".join(sample.notes)


def test_a_chain_read_whole_is_told(write):
    chain = "#NEXUS\nbegin trees;\n" + "".join(
        f"tree STATE_{1000 * i} [&lnP=-1.5] = [&R] ((a,b),(c,d));\n" for i in range(8)
    )
    sample = read_tree_sample(write("x.trees", chain + "end;\n"))
    assert len(sample.branches) == 8
    assert "samples of a Markov chain ('STATE_0', 'STATE_1000')" in " ".join(sample.notes)
    assert len(read_tree_sample(write("x.trees", chain + "end;\n"), burnin=0.5).branches) == 4


def test_mrbayes_files(write):
    head = "#NEXUS\n[ID: 1]\nbegin trees;\n translate\n 1 a,\n 2 b,\n 3 c,\n 4 d,\n 5 e;\n"
    chain = head + "".join(
        f" tree gen.{i} = [&U] ((2:.1,3:.1):.05,4:.2,(5:.1,1:.1):.3);\n" for i in range(4)
    )
    sample = read_tree_sample(write("x.run1.t", chain + "end;\n"))
    assert len(sample.branches) == 4
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
    assert len(read_tree_sample(path).branches) == 4


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
        ("x.nwk", "(a,(b));", "trees of 2 taxa have no topology"),
        ("t.tsv", "probability\ttree\n1\t(a,b,(c,d));\n", "no column 'newick'"),
        (
            "t.tsv",
            "probability\tnewick\nx\t(a,b,(c,d));\n",
            "line 2: probability: 'x' is not a number",
        ),
        ("t.tsv", "probability\tnewick\n0,5\t(a,b,(c,d));\n", "point in place of the comma"),
        ("t.tsv", "probability\tnewick\n-1\t(a,b,(c,d));\n", "-1 is out of range"),
        ("t.tsv", "probability\tnewick\ninf\t(a,b,(c,d));\n", "'inf' is not a number"),
        ("t.tsv", "probability\tnewick\n(a,b,(c,d));\n", "line 2: has 1 columns"),
        ("t.tsv", "newick\tnewick\n(a,b,(c,d));\t(a,b,(c,d));\n", "occurs twice"),
        ("t.tsv", "newick\n(a,b,(c,d));(a,b,(c,d));\n", "more than one tree"),
        ("t.tsv", "probability\tnewick\n1\t\n", "is empty"),
        ("t.tsv", "probability\tnewick\n", "no trees"),
        ("t.tsv", "probability\tnewick\n0\t(a,b,(c,d));\n", "all trees have weight zero"),
        ("x.nwk", "[&W 0] (a,b,(c,d));\n[&W 0] (a,c,(b,d));", "all trees have weight zero"),
    ],
)
def test_errors_say_file_and_place(write, name, text, words):
    with pytest.raises(UserError) as caught:
        read_tree_sample(write(name, text), None if "2 taxa" in words else ("a", "b", "c", "d"))
    assert words in str(caught.value)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_quote_in_a_table_hides_no_rows(write):
    table = 'newick\tprobability\n("a,b,(c,d));\t0.5\n(a,b,(c,d"));\t0.5\n'
    with pytest.raises(UserError, match="line 2, column 2: the quote"):
        read_tree_sample(write("t.tsv", table))


def test_spellings_of_one_name_match_across_files(write):
    trees = "(Ame\u0301lie,B b,(C,D));\n(Am\u00e9lie,B_b,(C,D));\n"
    sample = read_tree_sample(write("x.nwk", trees), ("Am\u00e9lie", "B_b", "C", "D"))
    assert sample.split_table().supports == {0b1100: 1.0}
    own = read_tree_sample(write("x.nwk", trees))
    assert "Ame\u0301lie" in own.names and len(own.branches) == 2
    with pytest.raises(UserError, match="taxon 'B_\\.' is not among"):
        read_tree_sample(write("x.nwk", "(A,B_.,C);\n"), ("A", "B .", "B\t.", "C"))


def test_branches_without_lengths_are_told(write):
    sample = read_tree_sample(write("x.nwk", "(a:1,b:1,(c,d):1);\n(a:1,b:1,(c:2,d:2):1);\n"))
    assert sample.notes == (
        "1 of 2 trees have branches without a length; mean lengths are those of the others",
    )
    assert sample.split_table().mean_lengths[0b100] == 2.0


def caterpillar(n):
    return "(" * (n - 1) + "t0" + "".join(f",t{i})" for i in range(1, n)) + ";"


def test_large_trees_are_read_up_to_a_limit_that_is_told(write, monkeypatch):
    sample = read_tree_sample(write("x.nwk", caterpillar(3000)))
    assert len(sample.branches[0]) == 2 * 3000 - 3
    with pytest.raises(UserError, match="of 100000 taxa take up to 1.7 GiB and the limit is 0.5"):
        read_tree_sample(write("x.nwk", caterpillar(100_000)))
    monkeypatch.setattr("phylogfn.trees.samples._LARGEST_MEMORY", 2**20)
    text = caterpillar(500)
    swapped = [text.replace("t0,", f"t{i},").replace(f",t{i})", ",t0)") for i in range(2, 200)]
    many = "\n".join(swapped)
    with pytest.raises(UserError, match="of the first [0-9]+ of 198 trees take"):
        read_tree_sample(write("x.nwk", many))


def test_burnin_out_of_range(write):
    with pytest.raises(UserError, match="fraction of the trees"):
        read_tree_sample(write("x.t", "(a,b,(c,d));"), burnin=1.0)


def test_commands_take_trees_from_standard_input_and_refuse_misspelt_options(
    tmp_path, monkeypatch, capsys
):
    text = "(A:0.1,B:0.2,(C:0.3,D:0.4):0.5);\n"
    path = tmp_path / "trees.nwk"
    path.write_text(text)
    for arguments in (["consensus", "-"], ["compare", str(path), "-"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert main(arguments) == 0
    assert "standard input" in capsys.readouterr().out
    assert main(["compare", str(path), str(path), "--burning", "0.2"]) == 2
    assert capsys.readouterr().err.startswith("phylogfn: error: Unknown option: --burning")
    assert main(["compare", str(path), str(path), "--" + "x" * 400]) == 2
    assert capsys.readouterr().err.startswith("phylogfn: error: Unknown option: --xxx")
