"""The command line: what it prints, where, and its exit codes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from phylogfn.cli.main import main
from phylogfn.results.outgroup import rooted_posterior
from phylogfn.results.posterior_files import write_results

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "phylogfn.cli.main", *arguments],
        capture_output=True,
        text=True,
        cwd=kwargs.pop("cwd", ROOT),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **kwargs,
    )


def processor_seconds():
    """Return the processor time of all child processes that have ended."""
    used = os.times()
    return used.children_user + used.children_system


@pytest.fixture
def output(tmp_path, make_posterior, run_facts):
    out = tmp_path / "out"
    write_results(out, make_posterior(n_draws=200, facts=run_facts))
    return out


def test_help_is_quick_and_has_examples():
    taken = []
    for _ in range(2):
        start = processor_seconds()
        result = run("--help")
        taken.append(processor_seconds() - start)
    assert result.returncode == 0
    assert "phylogfn sample primates.fasta -o out" in result.stdout
    for command in ("sample", "likelihood", "compare", "consensus", "data", "cite"):
        assert command in result.stdout
    assert min(taken) < 1.5  # half a second, of processor time


def test_nothing_heavy_is_imported_for_help():
    code = (
        "import sys\nfrom phylogfn.cli.main import main\nmain(['sample', '--help'])\n"
        "heavy = {'torch', 'numba', 'numpy', 'pandas', 'scipy', 'Bio', 'pydantic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("command", ["sample", "likelihood", "compare", "consensus", "cite"])
def test_each_command_has_help_with_examples(command, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"phylogfn {command} " in out and "Example" in out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("phylogfn ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["smaple"], 'Did you mean "sample"?'),
        (["sample", "x", "-o", "y", "--modle", "JC69"], "Did you mean --model?"),
        (["sample", "x"], "--output"),
        (["sample", "x", "-o", "y", "--samples", "ten"], "--samples"),
        (["sample", "x", "-o", "y", "--environment", "insert"], '"insertion"'),
        (["sample", "x", "-o", "y", "--budget", "5x"], "write 30s, 5m or 1h"),
        (["sample", "x", "-o", "y", "--branch-prior", "gamma"], "write gamma:SHAPE,RATE"),
        (["sample", "x", "-o", "y", "--config", "no.toml"], "no.toml: no such file"),
        (["sample", "-o", "y"], "the alignment is missing"),
        (["sample", "x", "-o", "data"], "is not empty"),
        (["compare", "one.nwk"], "at least two tree files"),
        (["compare", "no.nwk", "none.nwk"], "no.nwk"),
        (["consensus"], "needs at least one tree file"),
        (["consensus", "no.nwk"], "no.nwk"),
        (["data", "copy", "primate"], "did you mean"),
        (["data", "coyp"], 'Did you mean "copy"?'),
        (["cite", "nowhere"], "contains no finished run"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(arguments, words, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if "error" in line]
    assert len(errors) == 1
    assert errors[0].startswith("phylogfn: error: ")
    assert words in errors[0]
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_interrupted(monkeypatch, capsys):
    import phylogfn.trees.samples

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(phylogfn.trees.samples, "read_tree_sample", stop)
    assert main(["consensus", "x.nwk"]) == 130
    assert capsys.readouterr().err == "phylogfn: interrupted\n"


def test_first_words_come_within_a_second(tmp_path):
    start = processor_seconds()
    process = subprocess.Popen(
        [sys.executable, "-m", "phylogfn.cli.main", "sample", "none.fasta", "-o", tmp_path / "o"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    process.kill()
    process.communicate()
    taken = processor_seconds() - start
    assert "reading none.fasta" in line
    assert taken < 3.0  # a second, of processor time


def test_compare(output, capsys):
    files = [output / "trees.nwk", output / "topologies.tsv", output / "posterior.trprobs"]
    assert main(["compare", *map(str, files)]) == 0
    captured = capsys.readouterr()
    rows = [line.split("\t") for line in captured.out.splitlines()]
    assert rows[0] == ["file", "trees", "used", "topologies"]
    assert rows[1][1:3] == ["200", "200"]
    figures = {row[0]: row[1] for row in rows if len(row) > 1}
    assert float(figures["asdsf"]) < 0.1
    assert 0 < float(figures["largest_split_difference"]) < 0.2
    assert figures["rf_consensus"] == "0"
    assert captured.err == ""


def test_compare_leaves_the_burn_in_out(output, capsys):
    runs = [str(output / f"posterior.run{i}.t") for i in (1, 2)]
    assert main(["compare", *runs, "--burnin", "0.5"]) == 0
    assert "\t100\t50\t" in capsys.readouterr().out


def test_compare_and_consensus_do_not_look_at_the_names_of_files(tmp_path, capsys):
    text = "((a,b),c,d);\n" * 40 + "((a,c),b,d);\n" * 60
    plain, chain = tmp_path / "boot.nwk", tmp_path / "boot.trees"
    for path in (plain, chain):
        path.write_text(text)
    trees = []
    for path in (plain, chain):
        assert main(["consensus", str(path)]) == 0
        trees.append(capsys.readouterr())
    assert trees[0] == trees[1] == ("(a,(b,d)0.6,c);\n", "")
    assert main(["compare", str(plain), str(chain)]) == 0
    captured = capsys.readouterr()
    assert "asdsf\t0.000000" in captured.out and captured.err == ""
    assert main(["consensus", str(chain), "--burnin", "0.4"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "(a,(b,d)1,c);\n"
    assert captured.err == (
        f"phylogfn: note: {chain}: the first 40 of 100 trees are left out as burn-in\n"
    )


def test_compare_refuses_weights_that_are_no_weights(tmp_path, capsys):
    for weight in ("-1", "inf", "nan", "1/0", "1e999"):
        path = tmp_path / "w.nwk"
        path.write_text(f"[&W {weight}] ((a,b),c,d);\n((a,c),b,d);\n")
        for command in (["compare", str(path), str(path)], ["consensus", str(path)]):
            assert main(command) == 2
            captured = capsys.readouterr()
            assert captured.out == "" and captured.err.count("\n") == 1
            assert "as the weight of a tree" in captured.err
    assert main(["compare", str(path), str(path), "--min-frequency", "2"]) == 2
    assert "not a frequency" in capsys.readouterr().err


@pytest.mark.parametrize("name", ['["a","b"]', "[" * 200, "[1].nwk"])
def test_names_of_files_are_no_lists_in_json(tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("((a,b),c,d);\n")
    assert main(["compare", name, name]) == 0
    assert capsys.readouterr().out.startswith(f"file\ttrees\tused\ttopologies\n{name}\t1\t1\t1\n")
    assert main(["consensus", "[" * 6000]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1


def test_a_name_that_is_too_long_is_told_in_one_line(capsys):
    assert main(["sample", str(ROOT / "data" / "primates.fasta"), "-o", "x\n" * 5000]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("phylogfn: error: ") and len(told) < 1100


def test_compare_when_no_split_is_frequent(tmp_path, capsys):
    for name in "ab":
        (tmp_path / name).write_text("(a,b,c,d);\n")
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    out = capsys.readouterr().out
    assert "asdsf\tNA (no split reaches a frequency of 0.1" in out
    assert "largest_split_difference\tNA" in out


def test_consensus(output, capsys):
    assert main(["consensus", str(output / "topologies.tsv")]) == 0
    newick = capsys.readouterr().out
    assert newick.count("\n") == 1 and newick.rstrip().endswith(";")
    assert main(["consensus", str(output / "trees.nwk"), "--nexus", "--strict"]) == 0
    assert "tree con_strict" in capsys.readouterr().out


def test_data(tmp_path, capsys, monkeypatch):
    assert main(["data", "list"]) == 0
    assert "primates.fasta" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    assert main(["data", "copy", "primates"]) == 0
    assert capsys.readouterr().out == "primates.fasta\n"
    assert (tmp_path / "primates.fasta").read_bytes() == (
        ROOT / "data" / "primates.fasta"
    ).read_bytes()
    assert main(["data", "copy", "primates"]) == 2
    assert main(["data", "copy", "primates", "--force"]) == 0
    assert main(["data", "copy", "primates", "mine.fa"]) == 0
    assert (tmp_path / "mine.fa").exists()


def test_cite(output, capsys):
    assert main(["cite", str(output)]) == 0
    out = capsys.readouterr().out
    assert "PhyloGFN" in out and "Jukes" in out
    assert main(["cite", "--bibtex", "--all"]) == 0
    assert capsys.readouterr().out.count("@") > 15


def test_a_rooted_consensus(tmp_path, capsys):
    path = tmp_path / "trees.nwk"
    path.write_text("(a,b,(c,(d,e)));\n(a,(b,c),(d,e));\n(a,b,(c,(d,e)));\n")
    assert main(["consensus", str(path), "--outgroup", "e,d"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "((d,e)1,(c,(a,b)0.666667)1);\n"
    assert captured.err == ""
    assert main(["consensus", "--outgroup", "a", "--outgroup", "b", str(path), "--nexus"]) == 0
    assert "[&R] ((1[" in capsys.readouterr().out
    assert main(["consensus", str(path), "--outgroup", "b,c"]) == 0
    captured = capsys.readouterr()
    assert "it is one in 33.3 % of the trees" in captured.err
    assert captured.out.startswith("((d,e)1,")  # one taxon, a, on the wrong side
    assert main(["consensus", str(path), "--outgroup", "x"]) == 2
    assert "--outgroup: 'x' is not one of the 5 taxa" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("mb") is None, reason="MrBayes is not installed")
@pytest.mark.parametrize("outgroup", [(), ("Lemur_catta",)])
def test_sumt_and_sump_of_mrbayes_read_our_files(
    tmp_path, make_posterior, run_facts, capsys, outgroup
):
    output = tmp_path / "out"
    plain = make_posterior(n_draws=200, facts=run_facts)
    write_results(output, rooted_posterior(plain, outgroup)[0])
    names = make_posterior().names
    matrix = "\n".join(f"{name} ACGT" for name in names)
    (output / "x.nex").write_text(
        f"#NEXUS\nbegin data;\ndimensions ntax={len(names)} nchar=4;\nformat datatype=dna;\n"
        f"matrix\n{matrix}\n;\nend;\n"
    )
    (output / "x.mb").write_text(
        "set autoclose=yes nowarn=yes;\nexecute x.nex;\n"
        "sumt filename=posterior nruns=2 relburnin=no burnin=0;\n"
        "sump filename=posterior nruns=2 relburnin=no burnin=0;\nquit;\n"
    )
    result = subprocess.run(
        ["mb", "x.mb"], cwd=output, capture_output=True, text=True, errors="replace", timeout=60
    )
    assert "Tasks completed" in result.stdout
    assert "Parameter summaries over all runs" in result.stdout or "PSRF" in result.stdout
    both = [str(output / "posterior.con.tre"), str(output / "trees.nwk")]
    assert main(["compare", *both]) == 0
    assert "rf_consensus\t0\t" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("mb") is None, reason="MrBayes is not installed")
def test_asdsf_is_that_of_mrbayes(tmp_path, capsys):
    sequences = {}
    for record in (ROOT / "data" / "primates.fasta").read_text().split(">")[1:]:
        head, _, body = record.partition("\n")
        sequences[head.split()[0]] = "".join(body.split())
    matrix = "\n".join(f"{name} {sequence}" for name, sequence in sequences.items())
    length = len(next(iter(sequences.values())))
    (tmp_path / "x.nex").write_text(
        f"#NEXUS\nbegin data;\ndimensions ntax={len(sequences)} nchar={length};\n"
        f"format datatype=dna gap=- missing=?;\nmatrix\n{matrix}\n;\nend;\n"
    )
    (tmp_path / "x.mb").write_text(
        "set autoclose=yes nowarn=yes seed=1 swapseed=1;\nexecute x.nex;\n"
        "mcmc ngen=3000 samplefreq=10 nruns=2 nchains=1 file=x;\nsumt filename=x;\nquit;\n"
    )
    result = subprocess.run(
        ["mb", "x.mb"], cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120
    )
    stated = result.stdout.rsplit("Average standard deviation of split frequencies = ", 1)[1]
    assert (
        main(
            ["compare", str(tmp_path / "x.run1.t"), str(tmp_path / "x.run2.t"), "--burnin", "0.25"]
        )
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    found = next(line for line in lines if line.startswith("asdsf"))
    assert float(found.split("\t")[1]) == pytest.approx(float(stated.split()[0]), abs=2e-6)
