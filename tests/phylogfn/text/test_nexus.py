"""NEXUS trees blocks: those of MrBayes, BEAST and our own."""

from __future__ import annotations

import gzip
import io
import tempfile
import time
from pathlib import Path

import dendropy
import numpy as np
import pytest
from Bio import Phylo
from hypothesis import given, settings
from hypothesis import strategies as st

from phylogfn.errors import TreeFileError
from phylogfn.text.nexus import blank_comments, tokens
from phylogfn.trees.files import parse_tree_file, read_trees
from phylogfn.trees.nexus_trees import nexus_trees_text
from phylogfn.trees.samples import read_tree_sample
from phylogfn.trees.tree import Tree, canonical, canonical_newick, random_topology, splits

# What MrBayes 3.2.7 writes, shortened.
SAMPLED = """#NEXUS
[ID: 8207380259]
[Param: tree]
begin trees;
   translate
       1 Tarsius_syrichta,
       2 Lemur_catta,
       3 Homo_sapiens,
       4 Pan
       ;
   tree gen.0 = [&U] ((3:2.000000e-02,4:2.000000e-02):2.000000e-02,2:2.000000e-02,1:2.000000e-02);
   tree gen.50 = [&U] ((4:1.2e-02,2:2.5e-02):1.0e-01,3:3.0e-02,1:4.0e-02);
end;
"""
PROBABILITIES = """#NEXUS
[This file contains the trees that were found during the MCMC
search, sorted by posterior probability.]

begin trees;
   translate
    1 Tarsius_syrichta,
    2 Lemur_catta,
    3 Homo_sapiens,
    4 Pan;
   tree tree_1 [p = 0.864, P = 0.864] = [&W 0.864198] (2,(4,3),1);
   tree tree_2 [p = 0.136, P = 1.000] = [&W 0.135802] ((2,4),3,1);
end;
"""
CONSENSUS = """#NEXUS
begin taxa;
    dimensions ntax=5;
    taxlabels
        A
        'B b'
        C
        D
        E
        ;
end;
begin trees;
    translate
        1 A, 2 'B b', 3 C, 4 D, 5 E
        ;
   tree con_50_majrule = [&U] (1[&prob=1.0,prob_range={1.0,1.0},prob(percent)="100"]:1.5e-01\
[&length_mean=1.8e-01,length_95%HPD={1.4e-01,2.1e-01}],2:2.0e-01,(3:1.0e-02,4:2.0e-02,5:3.0e-02)\
[&prob=9.1e-01,prob+-sd="91+-2"]:4.0e-02[&length_mean=1.0e-01]);
end;
"""
ANNOTATED = """#NEXUS
Begin taxa;
    Dimensions ntax=4;
    Taxlabels A B C 'D d';
End;
Begin trees;
    Translate 1 A, 2 B, 3 C, 4 'D d';
tree STATE_0 [&lnP=-68.0,posterior=-68.0] = [&R] ((1:1.0[&rate=1.0],2:1.0):1.0,(3:1.5,4:1.5):0.5);
End;
"""


def write(tmp_path, text, name="x.t"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_sampled_trees(tmp_path):
    trees = read_trees(write(tmp_path, SAMPLED))
    assert trees.names == ("Tarsius_syrichta", "Lemur_catta", "Homo_sapiens", "Pan")
    assert [splits(tree) for tree, _ in trees] == [{0b1100}, {0b1010}]
    assert trees.weights.tolist() == [1, 1]
    assert trees.trees[1].lengths[1:5].tolist() == [0.025, 0.03, 0.012, 0.1]


def test_weights(tmp_path):
    trees = read_trees(write(tmp_path, PROBABILITIES))
    assert trees.weights.tolist() == [0.864198, 0.135802]
    assert [splits(tree) for tree, _ in trees] == [{0b1100}, {0b1010}]
    assert trees.trees[0].lengths is None


def test_weights_before_the_equals_sign(tmp_path):
    text = PROBABILITIES.replace("[p = 0.864, P = 0.864] = [&W 0.864198]", "[p = 1] [&W 1/4] =")
    assert read_trees(write(tmp_path, text)).weights.tolist() == [0.25, 0.135802]
    with pytest.raises(TreeFileError, match=r"line 11, column .*'\[&W -1\]' as the weight"):
        read_trees(write(tmp_path, text.replace("[&W 1/4]", "[&W -1]")))
    with pytest.raises(TreeFileError, match="a weight stands before its tree, and once"):
        read_trees(write(tmp_path, text.replace("[&W 1/4] =", "[&W 1/4] = [&W 1/4]")))


def test_consensus_with_annotations(tmp_path):
    path = write(tmp_path, CONSENSUS)
    with pytest.raises(TreeFileError, match="3 subtrees"):
        read_trees(path)
    trees = read_trees(path, multifurcations="resolve")
    assert trees.names == ("A", "B b", "C", "D", "E")
    assert trees.trees[0].lengths.sum() == pytest.approx(0.45)
    (parsed,) = parse_tree_file(path)
    assert parsed.labels[1:3] == ["A", "B b"] and parsed.taxa == trees.names


def test_rooted_tree_with_annotations_before_the_equals_sign(tmp_path):
    trees = read_trees(write(tmp_path, ANNOTATED))
    assert canonical_newick(trees.trees[0], trees.names) == "(A:1.0,B:1.0,(C:1.5,'D d':1.5):1.5);"


def test_gzipped(tmp_path):
    path = tmp_path / "x.t.gz"
    path.write_bytes(gzip.compress(SAMPLED.encode()))
    assert len(read_trees(path)) == 2
    path.write_bytes(gzip.compress(SAMPLED.encode())[:-20])
    with pytest.raises(TreeFileError, match="cut short"):
        read_trees(path)


@pytest.mark.parametrize(
    "text",
    [
        "#nexus\nBEGIN TREES;\nUTREE * 'my tree' = (A,B,(C,D));\nENDBLOCK;\n",
        "#NEXUS begin taxa; taxlabels A B C D; end; begin trees; tree t=(1,2,(3,4)); end;",
        "#NEXUS begin trees; translate w A, x B, y C, z D,; tree t = (w,x,(y,z)); end;",
        "[by hand] #NEXUS begin other; junk 'a;b' (; end; begin trees; tree t=(A,B,(C,D)); end;",
        "#NEXUS begin taxa; taxlabels 'A' B C D; end; begin trees;\r\ntree t=(A,B,(C,D));\r\nend;",
    ],
)
def test_dialects(tmp_path, text):
    trees = read_trees(write(tmp_path, text))
    assert trees.names == ("A", "B", "C", "D") and splits(trees.trees[0]) == {0b1100}


def test_numbers_that_are_names_stay(tmp_path):
    text = "#NEXUS begin taxa; taxlabels 4 3 2 1; end; begin trees; tree t=(4,3,(2,1)); end;"
    assert read_trees(write(tmp_path, text)).names == ("4", "3", "2", "1")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("#NEXUS\nbegin trees;\ntree a = (A,B,(C,D);\nend;\n", "line 3, column 20"),
        ("#NEXUS\nbegin trees;\ntree a (A,B,(C,D));\nend;\n", "line 3: 'tree a (A,B"),
        ("#NEXUS\nbegin data;\ntitle x;\n", "line 2: the data block has no 'end;'"),
        (
            "#NEXUS\nbegin taxa;\nbegin trees;\ntree a = (A,B,C);\nend;\n",
            "line 2: the taxa block has no 'end;' before the 'begin' of line 3",
        ),
        ("#NEXUS\nbegin trees;\ntranslate 1 A, 1 B, 3 C;\ntree a=(1,2,3);end;", "gives '1' twice"),
        ("#NEXUS\nbegin trees;\ntranslate 1 'A\n', 2 B, 3 C;\ntree a=(1,2,3);end;", "a line end"),
        ("#NEXUS\nbegin trees;\ntree a = [&W -1] (A,B,C);\nend;", "line 3, column 10: '[&W -1]'"),
        ("#NEXUS\nbegin trees;\ntree a = (A,B,C);tree b = [&W inf] (A,B,C);\nend;", "column 27"),
        ("#NEXUS\nbegin trees; [x\ntree a = (A,B,(C,D));\nend;", "line 2: a comment '[' is never"),
        ("#NEXUS\nbegin trees;\ntranslate 1 A, 2, 3 C;\ntree a=(1,2,3);end;", "translate '2'"),
        ("#NEXUS\nbegin data;\nend;\n", "has no trees"),
    ],
)
def test_malformed_files_are_one_line(tmp_path, text, word):
    path = write(tmp_path, text)
    with pytest.raises(TreeFileError) as caught:
        read_trees(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and word in message and "\n" not in message


@pytest.mark.parametrize(
    ("cut", "n_trees"),
    [
        (SAMPLED.index("end;"), 2),
        (SAMPLED.index("1.0e-01"), 1),
        (SAMPLED.rindex("[&U]") + 2, 1),
        (SAMPLED.rindex("gen.50"), 1),
        (SAMPLED.rindex(";\nend;"), 1),
        (len(SAMPLED) - 2, 2),
    ],
)
def test_a_chain_that_is_still_running_is_read_and_told(tmp_path, cut, n_trees):
    trees = read_trees(write(tmp_path, SAMPLED[:cut]))
    assert len(trees) == n_trees
    notes = " ".join(trees.notes)
    if cut < len(SAMPLED) - 2:
        assert "line 4: the trees block has no 'end;'" in notes
    assert ("the last tree is cut short and is left out" in notes) == (n_trees == 1)


def test_a_file_cut_in_its_first_tree_has_no_trees(tmp_path):
    with pytest.raises(TreeFileError, match="has no trees"):
        read_trees(write(tmp_path, SAMPLED[: SAMPLED.index("gen.0") + 20]))


def test_text_before_begin_hides_no_block(tmp_path):
    text = SAMPLED.replace("begin trees;", "# source: a server\nbegin trees;")
    assert len(read_trees(write(tmp_path, text))) == 2


def test_a_control_character_in_a_comment_is_told(tmp_path):
    path = write(tmp_path, SAMPLED.replace("[Param: tree]", "[Param: \x01 tree]"))
    assert len(read_trees(path)) == len(read_tree_sample(path).branches) == 2
    for notes in (read_trees(path).notes, read_tree_sample(path).notes):
        assert "1 control characters (the first is byte" in " ".join(notes)


def test_names_of_translate_in_any_normal_form(tmp_path):
    text = "#NEXUS\nbegin trees;\ntranslate 1 Ame\u0301lie, 2 B, 3 'C c';\ntree t = (1,2,3);\nend;"
    trees = read_trees(write(tmp_path, text), ["B", "Am\u00e9lie", "C_c"])
    assert trees.names == ("B", "Am\u00e9lie", "C_c") and len(trees) == 1


def test_apostrophes_in_translate(tmp_path):
    pairs = "1 O'Brien,\n2 \"x, y\",\n3 'D''Arcy'"
    text = f"#NEXUS\nbegin trees;\ntranslate {pairs};\ntree t = (1,2,3);end;"
    assert read_trees(write(tmp_path, text)).names == ("O'Brien", "x, y", "D'Arcy")


def test_a_number_of_many_digits_is_a_name(tmp_path):
    text = (
        f"#NEXUS\nbegin taxa;\ntaxlabels A B C;\nend;\nbegin trees;\ntree t=(1,2,{'9' * 5000});end;"
    )
    (parsed,) = parse_tree_file(write(tmp_path, text))
    assert parsed.labels[3] == "9" * 5000


def test_many_trees_on_one_line_take_linear_time(tmp_path):
    tree = "(A:0.1,B:0.2,(C:0.3,D:0.4):0.5)"
    text = "#NEXUS begin trees; " + "".join(f"tree t{i} = {tree}; " for i in range(20_000))
    start = time.process_time()
    assert len(parse_tree_file(write(tmp_path, text + "end;"))) == 20_000
    assert time.process_time() - start < 10  # quadratic: minutes
    bad = text[: text.index("tree t9 ")] + "tree u = (A:x,B:1,C:1); end;"
    with pytest.raises(TreeFileError, match=f"column {bad.index('x,B') + 1}: 'x' is not a branch"):
        parse_tree_file(write(tmp_path, bad))


def test_our_blocks_read_back_and_elsewhere(tmp_path):
    rng = np.random.default_rng(0)
    names = ["plain", "under_score", "two words", "it's", "a-b.c", "semi;colon", "x[1]"]
    trees = []
    for number in range(3):
        tree = random_topology(len(names), rng)
        lengths = np.concatenate([[0], rng.exponential(0.1, 2 * len(names) - 3)])
        tree = canonical(Tree(tree.parent, tree.children, lengths))
        trees.append((f"draw.{number}", tree, 0.5 / (number + 1)))
    text = "".join(nexus_trees_text(trees, names))
    back = read_trees(write(tmp_path, text), names)
    assert back.weights.tolist() == [weight for _, _, weight in trees]
    for (tree, _), (_, original, _) in zip(back, trees, strict=True):
        np.testing.assert_array_equal(tree.parent, original.parent)
        np.testing.assert_array_equal(tree.lengths, original.lengths)
    theirs = dendropy.TreeList.get(data=text, schema="nexus", preserve_underscores=True)
    assert [taxon.label for taxon in theirs.taxon_namespace] == names
    assert [t.length() for t in theirs] == pytest.approx([t.lengths.sum() for _, t, _ in trees])
    plain = [f"taxon_{i}" for i in range(len(names))]
    text = "".join(nexus_trees_text([(a, b, None) for a, b, _ in trees], plain))
    biopython = list(Phylo.parse(io.StringIO(text), "nexus"))
    assert len(biopython) == 3
    assert sorted(leaf.name for leaf in biopython[0].get_terminals()) == plain


def test_apostrophes_in_comments_are_no_quotes():
    text = "A [Dan's] ACGT [it's]\n'B [not one]' AC[one]GT 'C'"
    plain = blank_comments(text, "f", TreeFileError)
    assert plain.split() == ["A", "ACGT", "'B", "[not", "one]'", "AC", "GT", "'C'"]
    assert len(plain) == len(text)


def test_comments_and_tokens():
    text = "a [b [c]\n d] 'x [y]' [&W 1] [z]"
    plain = blank_comments(text, "f", TreeFileError)
    assert plain.split() == ["a", "'x", "[y]'"] and plain.count("\n") == 1
    assert len(plain) == len(text)
    assert "[&W 1]" in blank_comments(text, "f", TreeFileError, keep="&")
    assert tokens("a 'b c''d' \"e f\",g=(h)") == ["a", "b c'd", "e f", ",", "g", "=", "(", "h", ")"]


@given(
    st.sampled_from(
        [SAMPLED, PROBABILITIES, CONSENSUS, ANNOTATED, "(A:1,'B c':2,(C:1,D:3)x:4);\n"]
    ),
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 4), st.sampled_from(" \n;[]'\"=.,():A1#&*{")),
        max_size=4,
    ),
    st.integers(0, 800),
)
@settings(max_examples=150, deadline=None)
def test_damaged_files_are_read_or_refused_in_one_line(text, edits, end):
    for at, cut, put in edits:
        text = text[:at] + put + text[at + cut :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.t"
        path.write_text(text[: max(end, 10)])
        try:
            trees = read_trees(path, multifurcations="resolve")
            assert all(tree.n_taxa == len(trees.names) for tree, _ in trees)
        except TreeFileError as problem:
            assert "\n" not in str(problem) and str(path) in str(problem)
