"""`phylogfn likelihood`: rows, columns and messages."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest

from phylogfn.alignments.alignment import read_alignment
from phylogfn.alignments.patterns import CharacterPatterns, compress
from phylogfn.cli.main import main
from phylogfn.likelihood.tree_likelihood import TreeLikelihood
from phylogfn.models import parse_model
from phylogfn.trees.files import read_trees
from phylogfn.trees.tree import Tree

PRIMATES = str(Path(__file__).parents[3] / "data" / "primates.fasta")
SIMULATED = Path(PRIMATES).with_name("simulated.nex")
TOPOLOGY = (
    "(Tarsius_syrichta{0},Lemur_catta{0},((((((Homo_sapiens{0},Pan{0}){0},Gorilla{0}){0},"
    "Pongo{0}){0},Hylobates{0}){0},(((Macaca_fuscata{0},M_mulatta{0}){0},M_fascicularis{0}){0},"
    "M_sylvanus{0}){0}){0},Saimiri_sciureus{0}){0});\n"
)


@pytest.fixture
def trees(tmp_path):
    path = tmp_path / "trees.nwk"
    path.write_text("".join(TOPOLOGY.format(f":{length}") for length in ("0.1", "0.05", "0.2")))
    return str(path)


@pytest.fixture
def topology(tmp_path):
    path = tmp_path / "topology.nwk"
    path.write_text(TOPOLOGY.format(""))
    return str(path)


def rows(text):
    lines = [line.split("\t") for line in text.splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def test_a_row_a_tree(trees, capsys):
    assert main(["likelihood", PRIMATES, trees]) == 0
    found = rows(capsys.readouterr().out)
    assert [row["tree"] for row in found] == ["1", "2", "3"]
    assert float(found[0]["tree_length"]) == pytest.approx(2.1)
    # iqtree2 -s primates.fasta -te trees.nwk -m JC -blfix, first tree
    assert float(found[0]["log_likelihood"]) == pytest.approx(-6745.6347, abs=6e-5)
    main(["likelihood", PRIMATES, trees, "--threads", "1"])
    assert rows(capsys.readouterr().out) == found


CLASSES = {  # of simulated.nex: characters, MrBayes 3.2.7a with coding=all, IQ-TREE 2.0.7 with +ASC
    "unordered2": (-241.3157, -217.146),
    "unordered3": (-138.4570, None),  # IQ-TREE reads the two sets as other symbols
    "unordered4": (-65.46725, -61.713),
    "ordered3": (-84.48189, -79.253),
    "ordered4": (-30.79172, -28.179),
}


def test_morphological_characters(tmp_path, capsys):
    """Each class alone in MrBayes, which merges equal columns of different types, and IQ-TREE.

    MrBayes: prset brlenspr=fixed(t) topologypr=fixed(t), startvals alpha=(0.5), first line of .p.
    IQ-TREE: -m MK+G4{0.5}+ASC or ORDERED+G4{0.5}+ASC, -st MORPH -te t.nwk -blfix.
    """
    matrix, tree = tmp_path / "a.nex", tmp_path / "t.nwk"
    text = SIMULATED.read_text()
    matrix.write_text(text)
    alignment = read_alignment(matrix)
    tree.write_text(
        "(Alder:.1,Dogwood:.1,(Ginkgo:.1,((Elm:.1,(Birch:.1,(Fir:.1,(Hazel:.1,Ironwood:.1):.1)"
        ":.1):.1):.1,(Cedar:.1,Juniper:.1):.1):.1):.1);\n"
    )

    def value(model):
        assert main(["likelihood", str(matrix), str(tree), "--model", model]) == 0
        out = capsys.readouterr()
        assert "types of characters" not in out.err
        return float(rows(out.out)[0]["log_likelihood"])

    assert value("MK+G4{0.5}") == pytest.approx(sum(x for x, _ in CLASSES.values()), abs=2e-4)
    patterns = compress(alignment)
    assert isinstance(patterns, CharacterPatterns)
    for (n_states, ordered), columns in zip(patterns.classes, patterns.columns, strict=True):
        others = sorted(set(range(1, 73)) - {int(column) + 1 for column in columns})
        excluded = f"begin paup; exclude {' '.join(map(str, others))}; end;\n"
        matrix.write_text(text + excluded)
        mrbayes, iqtree = CLASSES[f"{'ordered' if ordered else 'unordered'}{n_states}"]
        assert value("MK+G4{0.5}") == pytest.approx(mrbayes, abs=6e-5)
        if iqtree is not None:
            assert value("MKV+G4{0.5}") == pytest.approx(iqtree, abs=6e-4)


def test_sites_that_may_be_constant_are_refused(tmp_path, capsys):
    alignment, trees = tmp_path / "a.fasta", tmp_path / "t.nwk"
    alignment.write_text(">a\nACA\n>b\nACR\n>c\nAGG\n>d\nATG\n")
    trees.write_text("(a:.1,b:.1,(c:.1,d:.1):.1);\n")
    assert main(["likelihood", str(alignment), str(trees), "--model", "JC69+ASC"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "1 column is constant or may be (1); exclude them" in line


def test_the_alignment_may_come_from_standard_input_gzipped(trees, capsys, monkeypatch):
    assert main(["likelihood", PRIMATES, trees]) == 0
    of_file = capsys.readouterr().out
    packed = io.BytesIO(gzip.compress(Path(PRIMATES).read_bytes()))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(packed))
    assert main(["likelihood", "-", trees]) == 0
    assert capsys.readouterr().out == of_file


def test_optimize_gives_parameters_and_lengths(topology, tmp_path, capsys):
    model = "HKY85+F+G4"
    assert main(["likelihood", PRIMATES, topology, "--model", model, "--optimize"]) == 0
    (row,) = rows(capsys.readouterr().out)
    assert float(row["log_likelihood"]) == pytest.approx(-5728.0621, abs=1e-3)
    again = tmp_path / "again.nwk"
    again.write_text(row["newick"] + "\n")
    fixed = f"HKY85{{{row['kappa']}}}+F+G4{{{row['alpha']}}}"
    assert main(["likelihood", PRIMATES, str(again), "--model", fixed]) == 0
    (same,) = rows(capsys.readouterr().out)
    assert float(same["log_likelihood"]) == pytest.approx(float(row["log_likelihood"]), abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "HKY85+G4"], ["kappa", "alpha", "--optimize"]),
        (["--model", "HKZ85"], ["did you mean HKY85"]),
        (["--branch-prior", "exp"], ["--branch-prior", "exp:10"]),
        (["--threads", "0"], ["--threads"]),
    ],
)
def test_wrong_input_is_one_line(trees, capsys, arguments, words):
    assert main(["likelihood", PRIMATES, trees, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    for word in words:
        assert word in captured.err


def test_trees_without_lengths_need_optimize(topology, capsys):
    assert main(["likelihood", PRIMATES, topology]) == 2
    assert "--optimize" in capsys.readouterr().err


def test_lengths_of_zero_give_a_finite_value_and_a_warning(tmp_path, capsys):
    path = tmp_path / "zero.nwk"
    path.write_text(TOPOLOGY.format(":0.1") + TOPOLOGY.format(":0"))
    assert main(["likelihood", PRIMATES, str(path)]) == 0
    captured = capsys.readouterr()
    assert float(rows(captured.out)[1]["log_likelihood"]) < -10000.0
    assert captured.err.count("\n") == 1 and "1 of 2 trees" in captured.err


def test_notes_on_the_alignment_are_shown_and_its_format_may_be_given(tmp_path, capsys):
    (tmp_path / "t.nwk").write_text("('A one':.1,B:.1,(C:.1,D:.1):.1);")
    path = tmp_path / "a"
    rows = ("A one", "ACGTU"), ("B", "ACGTA"), ("C", "ACATA"), ("D", "ACGTA")
    path.write_text("".join(f">{name}\n{row}\n" for name, row in rows))
    arguments = ["likelihood", str(path), str(tmp_path / "t.nwk")]
    assert main([*arguments, "--format", "fasta"]) == 0
    plain = capsys.readouterr()
    assert len(rows_of_notes(plain.err)) == 3
    for words in ("first words of the headers", "both T and U", "identical sequences"):
        assert words in plain.err
    assert main([*arguments, "--format", "phylip"]) == 2
    assert "a PHYLIP file starts with" in capsys.readouterr().err
    assert main([*arguments, "--format", "bam"]) != 0


def rows_of_notes(text):
    return [line for line in text.splitlines() if line.startswith("phylogfn: warning: ")]


def test_data_without_a_constant_column_are_told(tmp_path, capsys):
    (tmp_path / "t.nwk").write_text("(A:.1,B:.1,(C:.1,D:.1):.1);")
    units = {"A": "AC", "B": "CG", "C": "CG", "D": "TT"}
    for repeats, told in ((14, False), (15, True)):
        text = "".join(f">{name}\n{unit * repeats}\n" for name, unit in units.items())
        (tmp_path / "a.fasta").write_text(text)
        assert main(["likelihood", str(tmp_path / "a.fasta"), str(tmp_path / "t.nwk")]) == 0
        assert ("no constant column: looks like SNP data" in capsys.readouterr().err) == told


@pytest.mark.parametrize("model", ["JC69", "K80+G4"])
def test_constant_data_have_a_likelihood(tmp_path, capsys, model):
    (tmp_path / "t.nwk").write_text("(A:.1,B:.1,(C:.1,D:.1):.1);")
    (tmp_path / "a.fasta").write_text("".join(f">{name}\nACGT\n" for name in "ABCD"))
    options = ["--model", model, "--optimize", "--evidence"]
    assert main(["likelihood", str(tmp_path / "a.fasta"), str(tmp_path / "t.nwk"), *options]) == 0
    (row,) = rows(capsys.readouterr().out)
    assert float(row["log_likelihood"]) == pytest.approx(4 * np.log(0.25), abs=0.05)
    assert float(row["log_evidence"]) < float(row["log_likelihood"])


def test_evidence_is_the_mean_likelihood_over_the_prior(tmp_path, capsys):
    (tmp_path / "a.fasta").write_text(">a\nACGTA\n>b\nACGTC\n>c\nAGGTC\n>d\nAGCTN\n")
    (tmp_path / "t.nwk").write_text("(a,b,(c,d));\n")
    paths = [str(tmp_path / "a.fasta"), str(tmp_path / "t.nwk")]
    for options in (
        ["--branch-prior", "exp:10"],
        ["--model", "K80{3}+G4{0.5}+I{0.1}", "--branch-prior", "exp:5"],
    ):
        assert main(["likelihood", *paths, "--evidence", "--draws", "4000", *options]) == 0
        (row,) = rows(capsys.readouterr().out)
        assert row["log_likelihood"] == row["tree_length"] == "NA"
        alignment = read_alignment(paths[0])
        tree = read_trees(paths[1], alignment.names).trees[0]
        model = parse_model(options[1] if "--model" in options else "JC69", "dna").build()
        likelihood = TreeLikelihood(compress(alignment), model)
        rng, rate = np.random.default_rng(3), 5.0 if "--model" in options else 10.0
        values = [
            likelihood.log_likelihood(Tree(tree.parent, tree.children, lengths))
            for lengths in rng.exponential(1.0 / rate, (20000, tree.parent.size))
        ]
        weights = np.exp(values)
        error = weights.std() / weights.mean() / np.sqrt(len(weights))
        distance = abs(float(row["log_evidence"]) - np.log(weights.mean()))
        assert distance < 4 * np.hypot(error, float(row["log_evidence_se"])) < 0.15


def test_evidence_at_fitted_parameters(topology, capsys):
    found = []
    for seed in ("1", "2"):
        options = ["--model", "K80", "--optimize", "--evidence", "--draws", "300", "--seed", seed]
        assert main(["likelihood", PRIMATES, topology, *options]) == 0
        (row,) = rows(capsys.readouterr().out)
        assert float(row["log_evidence"]) < float(row["log_likelihood"])
        found.append((float(row["log_evidence"]), float(row["log_evidence_se"]), row["kappa"]))
    assert found[0][2] == found[1][2]
    assert abs(found[0][0] - found[1][0]) < 5 * np.hypot(found[0][1], found[1][1])


def test_evidence_of_short_sequences_is_exact_at_a_wide_prior(tmp_path, capsys):
    """The posterior of the lengths has the tail of the prior, which gammas at the mode lack."""
    from scipy.special import logsumexp

    (tmp_path / "a.fasta").write_text(">t0\nACGTT\n>t1\nACGTA\n>t2\nAGGTA\n>t3\nAGGTC\n")
    (tmp_path / "t.nwk").write_text("(t0,t1,(t2,t3));\n(t0,t2,(t1,t3));\n(t0,t3,(t1,t2));\n")
    paths = [str(tmp_path / "a.fasta"), str(tmp_path / "t.nwk")]
    assert (
        main(["likelihood", *paths, "--evidence", "--branch-prior", "exp:0.1", "--draws", "4000"])
        == 0
    )
    found = rows(capsys.readouterr().out)
    exact = [-27.47692, -27.62863, -27.55236]  # by quadrature, see tests/phylogfn/kernels
    z = [
        (float(row["log_evidence"]) - value) / float(row["log_evidence_se"])
        for row, value in zip(found, exact, strict=True)
    ]
    total = logsumexp([float(row["log_evidence"]) for row in found]) - np.log(3)
    assert total == pytest.approx(-27.55072, abs=0.05)
    assert max(map(abs, z)) < 4.0
    assert all(float(row["pareto_k"]) < 1.0 for row in found)


def test_few_draws_of_branch_lengths_are_told(topology, capsys):
    assert main(["likelihood", PRIMATES, topology, "--evidence", "--draws", "10"]) == 0
    captured = capsys.readouterr()
    assert rows(captured.out)[0]["pareto_k"] == "NA"
    assert "cannot be estimated in 1 of 1 trees" in captured.err and "--draws 10" in captured.err
