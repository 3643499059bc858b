"""Newick text: names, lengths, roots, and what is said about malformed text."""

from __future__ import annotations

import io
import random

import dendropy
import ete3
import numpy as np
import pytest
from Bio import Phylo
from hypothesis import given, settings
from hypothesis import strategies as st

from phylogfn.errors import TreeFileError
from phylogfn.text.quoting import newick_labels, nexus_labels, quote_newick, unquote
from phylogfn.trees.building import leaf_names, parsed_splits, tree_from_parsed
from phylogfn.trees.files import read_trees
from phylogfn.trees.newick import newick_lines, parse_newick
from phylogfn.trees.tree import Tree, canonical, canonical_newick, random_topology, splits

NAME = st.text(
    st.one_of(
        st.sampled_from("ab_ '\"()[]{}:;,.|-+/\\=*&!#1é"),
        st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=("Cc", "Cs")),
    ),
    min_size=1,
    max_size=12,
)


def read(text, names=None, **options):
    (parsed,) = parse_newick(text, "x.nwk")
    order = leaf_names(parsed) if names is None else names
    return tree_from_parsed(parsed, {name: i for i, name in enumerate(order)}, "x.nwk", **options)


def random_tree(n_taxa, seed):
    rng = np.random.default_rng(seed)
    tree = random_topology(n_taxa, rng)
    lengths = rng.exponential(0.1, 2 * n_taxa - 2)
    lengths[0] = 0
    return canonical(Tree(tree.parent, tree.children, lengths))


@given(st.lists(NAME, min_size=4, max_size=9, unique=True), st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_names_and_lengths_survive_the_round_trip(names, seed):
    tree = random_tree(len(names), seed)
    text = canonical_newick(tree, names)
    back = read(text, names)
    np.testing.assert_array_equal(back.parent, tree.parent)
    np.testing.assert_array_equal(back.lengths, tree.lengths)
    assert canonical_newick(back, names) == text


# DendroPy takes a name that is one mark for that mark, quoted or not.
TELLING_NAME = NAME.filter(lambda name: len(name) > 1 or name.isalnum())


@given(st.lists(TELLING_NAME, min_size=4, max_size=6, unique=True))
@settings(max_examples=60, deadline=None)
def test_dendropy_reads_our_names(names):
    text = canonical_newick(random_tree(len(names), 1), names)
    theirs = dendropy.Tree.get(
        data=text,
        schema="newick",
        preserve_underscores=True,
        case_sensitive_taxon_labels=True,
        suppress_internal_node_taxa=True,
    )
    assert sorted(t.label for t in theirs.taxon_namespace) == sorted(names)


def test_names_that_differ_in_blank_and_underscore_alone_are_all_quoted():
    """To readers that follow the standard, an unquoted underscore is a blank."""
    names = ["a b", "a_b", "c_d", "e"]
    text = canonical_newick(random_tree(4, 1), names, lengths=False)
    assert "'a b'" in text and "'a_b'" in text and "c_d" in text and "'c_d'" not in text
    theirs = dendropy.Tree.get(data=text, schema="newick", preserve_underscores=False)
    assert sorted(t.label for t in theirs.taxon_namespace) == ["a b", "a_b", "c d", "e"]
    assert nexus_labels(names) == newick_labels(names) == ("'a b'", "'a_b'", "c_d", "e")


@given(NAME)
def test_quoting_is_undone(name):
    assert unquote(quote_newick(name)) == name or quote_newick(name) == name


@pytest.mark.parametrize("n_taxa", [3, 4, 30])
def test_biopython_and_ete3_read_the_same_tree(n_taxa):
    names = [f"Genus_species-{i}.x|{i}" for i in range(n_taxa)]
    text = canonical_newick(random_tree(n_taxa, 4), names)
    total = random_tree(n_taxa, 4).lengths.sum()
    bio = Phylo.read(io.StringIO(text), "newick")
    assert sorted(leaf.name for leaf in bio.get_terminals()) == sorted(names)
    assert bio.total_branch_length() == pytest.approx(total)
    ete = ete3.Tree(text)
    assert sorted(ete.get_leaf_names()) == sorted(names)
    assert sum(node.dist for node in ete.traverse()) == pytest.approx(total)


@pytest.mark.parametrize("seed", range(5))
def test_dendropys_random_rooted_trees_are_read_as_it_reads_them(seed):
    rng = random.Random(seed)
    model = dendropy.model.birthdeath.birth_death_tree(1.0, 0.3, num_extant_tips=17, rng=rng)
    text = model.as_string("newick", suppress_rooting=False)
    tree = read(text)
    names = leaf_names(next(parse_newick(text, "")))
    assert tree.lengths.sum() == pytest.approx(
        model.length() - (model.seed_node.edge_length or 0.0), rel=1e-9
    )
    model.is_rooted = False
    namespace = {t.label: i for i, t in enumerate(model.taxon_namespace)}
    index = [names.index(t.label) for t in model.taxon_namespace]
    assert len(namespace) == 17
    expected = set()
    for bipartition in model.encode_bipartitions():
        if not bipartition.is_trivial():
            mask = sum(1 << index[i] for i in range(17) if bipartition.leafset_bitmask >> i & 1)
            expected.add((1 << 17) - 1 ^ mask if mask & 1 else mask)
    assert splits(tree) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("(Homo_sapiens,B,C);", ["Homo_sapiens", "B", "C"]),
        ("('Homo sapiens',B,C);", ["Homo sapiens", "B", "C"]),
        ("(Homo sapiens:1, B:2 ,\n C :3);", ["Homo sapiens", "B", "C"]),
        ("('O''Brien (1), [x]: y;',O'Brien,C);", ["O'Brien (1), [x]: y;", "O'Brien", "C"]),
        ('("a b",\'c"d\',e);', ["a b", 'c"d', "e"]),
        ("[&U] (A[&rate={1,2}][nested [comment]]:1[x],B:2,C:3)[end];", ["A", "B", "C"]),
        ("(1,2e-3,-x);", ["1", "2e-3", "-x"]),
        ("(Ä,Ω,'日本');", ["Ä", "Ω", "日本"]),
    ],
)
def test_names_as_they_stand(text, names):
    (parsed,) = parse_newick(text, "")
    assert leaf_names(parsed) == names


def test_lengths_labels_and_roots():
    unrooted = read("(A:1,B:2,(C:3,D:4)0.99:5);")
    assert canonical_newick(unrooted, "ABCD") == "(A:1.0,B:2.0,(C:3.0,D:4.0):5.0);"
    for rooted in (
        "((A:1,B:2)95:2,(C:3,D:4):3);",
        "((A:1,B:2):2,(C:3,D:4)'99/1.0':3)root:0.7;",
        "(A:0.25,(B:2,(C:3,D:4):5):0.75);",
        "(((A:1,B:2):5):0,C:3,((D:3):1));".replace("((D:3):1)", "((D:3):1):0"),
    ):
        tree = read(rooted, list("ABCD"))
        np.testing.assert_array_equal(tree.parent, unrooted.parent)
        np.testing.assert_allclose(tree.lengths, unrooted.lengths)
    assert read("((A,B),(C,D));").lengths is None
    np.testing.assert_array_equal(read("(A:1e-3,B:0,C:.5E+1);").lengths, [0, 0, 5, 1e-3])


def test_many_trees_and_weights():
    text = "[&W 0.25] (A,B,(C,D));\n(A,C,\n(B,D)) ; [&R][&W 1/4] ((A,D),(C,B));[done]\n"
    trees = list(parse_newick(text, "x"))
    assert [tree.weight for tree in trees] == [0.25, 1.0, 0.25]
    assert [tree.place for tree in trees] == [
        "tree 1 (line 1)",
        "tree 2 (line 2)",
        "tree 3 (line 3)",
    ]


def test_multifurcations_are_refused_or_resolved():
    text = "(A:1,B:1,C:1,(D:1,E:1,F:1):2);"
    with pytest.raises(TreeFileError, match="tree 1.*3 subtrees"):
        read(text)
    tree = read(text, multifurcations="resolve")
    assert tree.n_taxa == 6 and tree.lengths.sum() == 8
    (parsed,) = parse_newick(text, "x")
    index = {name: i for i, name in enumerate("ABCDEF")}
    assert parsed_splits(parsed, index, "x") == {0b111000}
    assert parsed_splits(parsed, index, "x") < splits(tree)


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("A,B,C);", "line 1, column 1", "starts with '('"),
        ("(A,B,(C,D);", "line 1, column 11", "')' is missing"),
        ("(A,B,C));", "line 1, column 8", "comes after"),
        ("(A,B,\n C,,D);", "line 2, column 4", "missing before ','"),
        ("(A,B,());", "line 1, column 7", "missing before ')'"),
        ("(A:x,B:1,C:1);", "line 1, column 4", "'x' is not a branch length"),
        ("(A:-1,B:1,C:1);", "line 1, column 4", "number >= 0"),
        ("(A:nan,B:1,C:1);", "line 1, column 4", "number >= 0"),
        ("(A:,B:1,C:1);", "line 1, column 4", "length is missing"),
        ("(A:1:2,B:1,C:1);", "line 1, column 5", "':' must follow"),
        ("(A,B(C,D));", "line 1, column 5", "comma is missing"),
        ("(A,'B'C,D);", "line 1, column 7", "'C' is not allowed here"),
        ("(A,B,(C,D))\n(A,B,(C,D));", "line 2, column 1", "a ';' at the end of the tree"),
        ("(A,B,(C,D))", "line 1, column 12", "without ';'"),
        ("(A,B,C);\n(A,B,", "line 2, column 6", "without ';'"),
        ("(A,'B,C);", "line 1, column 4", "quote ' is never closed"),
        ("(A,B[x,C);", "line 1, column 5", "'[' is never closed"),
        (";", "line 1, column 1", "starts with '('"),
    ],
)
def test_malformed_text_is_one_line_with_its_place(tmp_path, text, place, word):
    path = tmp_path / "bad.nwk"
    path.write_text(text)
    with pytest.raises(TreeFileError) as caught:
        read_trees(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {place}: ") and word in message and "\n" not in message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("(A,B,(C,D));(A,B,(C,E));", "tree 2 (line 1): 'E' not among the 4 taxa expected"),
        ("(A,B,(C,D));\n(A,B,C);", "tree 2 (line 2): 'D' missing"),
        ("(A,B,(C,C));", "tree 1 (line 1): 'C' more than once"),
        ("(A:1,B,C:1);", "tree 1 (line 1): the branch of 'B' has no length"),
        ("(A,B);", "trees of 2 taxa have no topology"),
        ("(A,B,'');", "a leaf has no name"),
        ("((A,B,C));", "subtrees"),
        ("((A,(B,C)));", "the root has one subtree"),
    ],
)
def test_trees_that_do_not_fit(tmp_path, text, word):
    path = tmp_path / "bad.nwk"
    path.write_text(text)
    with pytest.raises(TreeFileError) as caught:
        read_trees(path)
    assert str(caught.value).startswith(f"{path}: ") and word in str(caught.value)
    assert "\n" not in str(caught.value)


COMMA = "looks like"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("(A:0,1,B:0,2,(C:0,3,D:0,4):0,5);", "the leaf '1' has no branch length although"),
        ("(A:1.234,5,B:2.345,6,(C:1.1,2,D:1.2,3):1.0,1);", COMMA),
        ("(A:1,25e-05,B:1,5,C:2,5);", "the leaf '25e-05' has no branch length"),
        ("(1:0,1,2:0,2,3:0,3);", COMMA),
        ("('A a':0,1, B:0,2, C:0,3);", COMMA),
        ("((A,B)0,95,C,D);", "the leaf '95' after the support '0'"),
        ("((A,B)1,00,C,D);", "the leaf '00' after the support '1'"),
        ("((A:.1,B:.2)0,95:.1,C:.1,D:.2);", "the leaf '95' after the support '0'"),
        ("((A:0.1,B:0.2)95:0,05,C:0.1,D:0.2);", "the leaf '05' has no branch length"),
        ("(A:1e,B:1,C:1);", "'1e' is not a branch length"),
        ("(A:1_0,B:1,C:1);", "'1_0' is not a branch length"),
        ("(A:\u0661,B:1,C:1);", "is not a branch length"),
        ("(A:inf,B:1,C:1);", "'inf' is not a branch length; give a finite number"),
        ("(A:1e999,B:1,C:1);", "'1e999' is not a branch length; give a finite number"),
        ("(A:1e200,B:1,C:1);", "the branch length 1e200 is too large"),
        ("(A:'0.1',B:1,C:1);", "is not a branch length"),
        ("(A:1 B:1,C:1);", "'1 B' is not a branch length; a comma"),
        ("(A:1B:1,C:1);", "'1B' is not a branch length; a comma"),
        ("(A::1,B:1,C:1);", "length is missing"),
        ("('A,B);\n(C',D,E);", "the quote ' is never closed on its line"),
        ('("A,B);\n(C",D,E);', 'the quote " is never closed on its line'),
        ("(A',B',C);", "the quote at the end"),
        ("(A,B,C]);", "']' without '['"),
        ("(A,B,C); and more", "starts with '('"),
        ("(A,B,C),(D,E,F);", "comes after the last ')'"),
        ("[&W -1] (A,B,C);", "line 1, column 1: '[&W -1]' as the weight of a tree: -1 is out of"),
        ("[&W inf] (A,B,C);", "'inf' is not a number"),
        ("[&W nan] (A,B,C);", "'nan' is not a number"),
        ("[&W 1e999] (A,B,C);", "out of range"),
        ("[&W 1e200] (A,B,C);", "out of range"),
        ("[&W 1/0] (A,B,C);", "0 is out of range"),
        ("[&W 1/-2] (A,B,C);", "-2 is out of range"),
        ("[&W 1e90/1e-90] (A,B,C);", "larger than 1e+100"),
        ("[&W 0,5] (A,B,C);", "point in place of the comma"),
        ("[&W] (A,B,C);", "is not a number"),
        ("[&W [0.5]] (A,B,C);", "is not a number"),
        ("[&W=0.5] (A,B,C);", "is not a number"),
        ("[&W 1][&W 2] (A,B,C);", "a weight stands before its tree, and once"),
        ("(A,B[&W 2],C);", "a weight stands before its tree, and once"),
    ],
)
def test_broken_text_is_given_no_meaning(text, word):
    for padded in (text, text.replace(";", " ;")):  # plain text, and text read token by token
        with pytest.raises(TreeFileError) as caught:
            list(parse_newick(padded, "x"))
        assert word in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "(1:0.1,2:0.2,(3:0.3,4:0.4):0.5);",
        "(1,2,(3,4));",
        "((1,2)95,3,4);",
        "((A,B)95,C5,5D);",
        "((A,B)1,3,C);",
        "((A,B)100,5,C);",
        "((A:.1,B:.1)95:.2,5:.1,C:.1);",
    ],
)
def test_numbers_may_be_names(text):
    (parsed,) = parse_newick(text, "x")
    assert len(leaf_names(parsed)) == 4


def test_notes_of_mesquite_after_lengths_are_skipped():
    text = "(A:1.0<color = 5 >,B<color=5>:2,(C C :3,D:4)<width = 2 ><color = 5 >:5 <color = 5>);"
    (parsed,) = parse_newick(text, "x")
    (plain,) = parse_newick("(A:1,B:2,(C C:3,D:4):5);", "x")
    assert parsed == plain
    (parsed,) = parse_newick("(A<B:1,<C>:2,D<1>E:3);", "x")
    assert leaf_names(parsed) == ["A<B", "<C>", "D<1>E"]


def test_blanks_in_names_are_told():
    (parsed,) = parse_newick("(Homo sapiens,'Pan paniscus',(C,D));", "x")
    assert parsed.notes == (
        "names with blanks and without quotes, such as 'Homo sapiens', are read with their "
        "blanks; a comma may be missing",
    )
    (parsed,) = parse_newick("('Homo sapiens', B, C);", "x")
    assert parsed.notes == ()


def test_names_of_the_alignment_decide_the_numbers(tmp_path):
    path = tmp_path / "t.nwk"
    path.write_text("((D,C),Homo_sapiens,B);")
    names = ["B", "C", "Homo sapiens", "D"]  # the blank became an underscore on the way
    trees = read_trees(path, names)
    assert trees.names == tuple(names) and splits(trees.trees[0]) == {0b1010}
    with pytest.raises(TreeFileError, match="'Homo_sapiens' not among"):
        read_trees(path, ["B", "C", "Pan", "D"])


@given(st.integers(3, 12), st.integers(0, 2**32), st.booleans())
@settings(max_examples=60, deadline=None)
def test_plain_text_takes_a_short_cut_to_the_same_result(n_taxa, seed, lengths):
    text = canonical_newick(random_tree(n_taxa, seed), [f"t{i}" for i in range(n_taxa)], lengths)
    (short,) = parse_newick(" [&W 0.5]\n" + text, "x")
    (long,) = parse_newick(" [&W 0.5]\n" + text.replace(",", ",[a comment]"), "x")
    assert short == long and short.weight == 0.5 and short.place == "tree 1 (line 2)"


def test_files_of_lines(tmp_path):
    trees = [random_tree(8, seed) for seed in range(4)]
    names = [f"t {i}" for i in range(8)]
    path = tmp_path / "trees.nwk"
    path.write_text("".join(newick_lines(trees, names)))
    back = read_trees(path, names)
    assert len(back) == 4 and back.source == str(path)
    for (tree, weight), original in zip(back, trees, strict=True):
        assert weight == 1
        np.testing.assert_array_equal(tree.lengths, original.lengths)
        np.testing.assert_array_equal(tree.parent, original.parent)
