"""Every reader of the two programs: a name, valid inputs, words that mean something, and a call.

A reader is given bytes, in a file or as the text of an option, and must return or raise
`gfncore.errors.UserError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gfncore.errors import UserError
from tests.fuzzing import seeds

__all__ = ["READERS", "Reader"]


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    Attributes
    ----------
    name : str
    seeds : callable
        Returns valid inputs.
    read : callable
        Takes the path of a file, and reads it.
    words : tuple of str
        Words of its language.
    file : str
        Name of the file; empty for text that is not in a file, so that messages name none.
    """

    name: str
    seeds: Callable[[], tuple[bytes, ...]]
    read: Callable[[Path], object]
    words: tuple[str, ...] = ()
    file: str = ""


def _text(path: Path) -> str:
    """Return the content of a file as Python decodes the words of a command line."""
    return os.fsdecode(path.read_bytes())


def _texts(*values: str) -> Callable[[], tuple[bytes, ...]]:
    return lambda: tuple(value.encode() for value in values)


def _read_alignment(path: Path) -> None:
    from phylogfn.alignments.alignment import likelihood_notes, read_alignment
    from phylogfn.alignments.characters import parsimony_characters
    from phylogfn.alignments.partitions.choice import PartitionChoice
    from phylogfn.alignments.patterns import compress

    alignment = read_alignment(path)
    _refused_or(lambda: compress(read_alignment(path, choice=PartitionChoice())))
    assert len(alignment.names) == len(alignment.masks) == len(set(alignment.names))
    compress(alignment)
    assert not any("\n" in note for note in (*alignment.notes, *likelihood_notes(alignment)))
    _refused_or(lambda: parsimony_characters(alignment))
    _refused_or(lambda: parsimony_characters(alignment, "state"))


def _refused_or(call: Callable[[], object]) -> None:
    """Let a second question be refused, after the first was answered."""
    with suppress(UserError):
        call()


def _any_of(*calls: Callable[[], object]) -> None:
    """Make all calls, and raise the last refusal if all refuse."""
    refusals: list[UserError] = []
    for call in calls:
        try:
            call()
        except UserError as refusal:
            refusals.append(refusal)
    if len(refusals) == len(calls):
        raise refusals[-1]


def _read_trees(path: Path) -> None:
    from phylogfn.trees.files import read_trees

    trees = read_trees(path, multifurcations="resolve")
    assert all(tree.n_taxa == len(trees.names) for tree, _ in trees)
    assert ((trees.weights >= 0) & (trees.weights < float("inf"))).all()


def _read_tree_sample(path: Path) -> None:
    from phylogfn.trees.consensus import consensus_newick, consensus_nexus, consensus_tree
    from phylogfn.trees.newick import parse_newick
    from phylogfn.trees.samples import read_tree_sample

    sample = read_tree_sample(path, burnin=0.25)
    table = sample.split_table()
    assert all(0.0 <= support <= 1.0 for support in table.supports.values())
    assert all(0.0 <= length < float("inf") for length in table.mean_lengths.values())
    tree = consensus_tree(table)
    (back,) = parse_newick(consensus_newick(tree, table.names), "consensus")
    assert sum(back.is_leaf) == len(sample.names)
    consensus_nexus(tree, table.names)


CLADE_TAXA = ("Homo_sapiens", "Pan", "Gorilla", "it's", "a,b", "c d", "Lemur")
CLADES = """# the apes and others
apes: Homo_sapiens, Pan, Gorilla
'two words': 'it''s', 'a,b',
c d, Lemur
"a b c": Homo_sapiens "c d" Pan  # by blanks
"""


def _read_named_clades(path: Path) -> None:
    from phylogfn.sequences.named_clades import read_clades

    clades = read_clades(path, CLADE_TAXA)
    assert len({clade.name for clade in clades}) == len(clades) > 0
    for clade in clades:
        assert clade.name and not set(clade.name) & set("\n\t")
        assert 1 < len(clade.taxa) == len(set(clade.taxa)) < len(CLADE_TAXA)


def _read_constraints(path: Path) -> None:
    from phylogfn.trees.constraints.reading import read_constraints

    constraints = read_constraints(path, PRIMATES)
    assert 1 <= len(constraints) <= 3
    assert 0.0 <= constraints.log_n_topologies <= 3.92  # 35, of a split of four taxa
    assert not any("\n" in note for note in constraints.notes)


def _read_partition(path: Path) -> None:
    import numpy as np

    from phylogfn.alignments.partitions.files import parse_partition_text
    from phylogfn.alignments.partitions.subsets import check_partition
    from phylogfn.errors import AlignmentError
    from phylogfn.text.text_files import read_text

    text = read_text(path, AlignmentError)
    partition = parse_partition_text(text, os.fspath(path), 60, ("first", "it's"))
    check_partition(partition, np.ones(60, bool))
    columns = [column for subset in partition.subsets for column in subset.columns]
    assert sorted(columns) == list(range(60))


PARTITIONS = (
    "DNA, a = 1-20 # comment\nGTR+G4{0.5}, b = 21-.\\2\nc = 22-60/2\n",
    "#nexus\nbegin sets;\ncharset x = 1-20; charset y = DNA, 21-60;\n"
    "charpartition * p = GTR+G4:x, HKY:y;\nend;\n",
    "#nexus\nbegin mrbayes;\ncharset x = 1-20;\n"
    "partition p = 2: x, 21-.; set partition = p;\nend;\n",
)


def _read_model(path: Path) -> None:
    from phylogfn.models import parse_model

    text = _text(path)
    _any_of(
        lambda: _build(parse_model(text, "dna"), "dna"),
        lambda: _build(parse_model(text, "protein"), "protein"),
    )


def _build(spec, kind: str) -> None:
    spec = spec.resolve(_patterns(kind))
    if not spec.n_free:
        spec.build()


@cache
def _patterns(kind: str):
    from tempfile import TemporaryDirectory

    from phylogfn.alignments.alignment import read_alignment
    from phylogfn.alignments.patterns import compress

    nucleotides, _, protein = seeds.alignments()["fasta"]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.fasta"
        path.write_bytes(protein if kind == "protein" else nucleotides)
        return compress(read_alignment(path, data_type=kind))


def _read_prior(path: Path) -> None:
    from phylogfn.models.parameters import parse_prior

    parse_prior(_text(path))


def _read_sample_settings(path: Path) -> None:
    from gfncore.program.configuration import settings_toml
    from phylogfn.settings import resolve_settings

    settings_toml(resolve_settings({"alignment": "a.fasta", "output": Path("out")}, path))


def _read_parsimony_settings(path: Path) -> None:
    from phylogfn.settings import resolve_parsimony_settings

    resolve_parsimony_settings({"alignment": "a.fasta", "output": Path("out")}, path)


def _read_molecule_settings(path: Path) -> None:
    from molgen.settings import resolve_exact, resolve_sample

    given = {"output": Path("out")}
    _any_of(lambda: resolve_exact(given, path), lambda: resolve_sample(given, path))


@cache
def _app(program: str):
    from gfncore.program.command_line import build_app
    from molgen.cli.exact import exact
    from molgen.cli.fragments import fragments
    from molgen.cli.sample import sample
    from molgen.cli.score import score
    from phylogfn.cli.main import COMMANDS

    return build_app(
        program, "", (exact, fragments, sample, score) if program == "molgen" else COMMANDS
    )


def _read_options(path: Path) -> None:
    """Bind a command line, and check the settings that it gives, without running it."""
    from cyclopts import CycloptsError

    from molgen.settings import resolve_exact, resolve_sample
    from phylogfn.settings import resolve_parsimony_settings, resolve_settings

    program, *words = [word for word in _text(path).split("\n") if "\0" not in word] or [""]
    app = _app("molgen" if program == "molgen" else "phylogfn")
    try:
        command, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        error.verbose = False
        raise UserError(" ".join(str(error).split())) from None
    given = {key: value for key, value in bound.arguments.items() if key != "config"}
    resolvers = {
        ("phylogfn", "sample"): resolve_settings,
        ("phylogfn", "parsimony"): resolve_parsimony_settings,
        ("molgen", "sample"): resolve_sample,
        ("molgen", "exact"): resolve_exact,
    }
    resolve = resolvers.get((program, getattr(command, "__name__", "")))
    if resolve is not None and "output" in given:
        known = {key: value for key, value in given.items() if key not in ("resume", "scores")}
        try:
            resolve(known)
        except OSError as error:  # a name that is too long; told as `run_app` does
            raise UserError(f"{error.filename}: {error.strerror}") from None


def _read_scoring(path: Path) -> None:
    from molgen.scoring.configuration import make_plan
    from molgen.settings import scoring_of_config

    found = scoring_of_config(path)
    if found["scoring"] is not None:
        make_plan(found["scoring"], str(path), path.parent)


def _read_molecules(path: Path) -> None:
    from rdkit import Chem

    from molgen.molecules.smiles_file import read_smiles

    found = read_smiles(path, _ignore)
    for line in found.molecules:
        again = Chem.MolFromSmiles(line.smiles)
        assert again is not None, line.smiles
    assert not any("\n" in problem for problem in found.problems)


def _ignore(_message: str) -> None:
    pass


def _cut_molecules(path: Path) -> None:
    from molgen.fragments.cutting import fragment_file
    from molgen.fragments.vocabulary import Vocabulary

    for method in ("rings", "brics"):
        found = fragment_file(path, method=method)
    Vocabulary.parse(found.text)


def _read_fragments(path: Path) -> None:
    from molgen.fragments.vocabulary import Vocabulary

    vocabulary = Vocabulary.read(path)
    assert Vocabulary.parse(vocabulary.text()).smiles == vocabulary.smiles


def _read_core(path: Path) -> None:
    from gfncore.program.configuration import check_text
    from molgen.molecules.graph import AtomTable
    from molgen.molecules.rdkit_bridge import core_of_smiles

    text = _text(path)
    check_text(text, "--core")  # as all settings are
    _any_of(
        lambda: core_of_smiles(text, AtomTable.of(["C", "N", "O", "F", "S"])),
        lambda: _small_vocabulary().with_core(text),
    )


@cache
def _small_vocabulary():
    from molgen.fragments.vocabulary import Vocabulary

    return Vocabulary.of(["[*]C", "[*]c1ccc([*])cc1", "[*]O[*]"])


def _read_elements(path: Path) -> None:
    from molgen.molecules.graph import AtomTable

    AtomTable.of([word.strip() for word in _text(path).split(",")])


def _read_answer(path: Path) -> None:
    """Read the first line of an external program, as the one that scores does."""
    from molgen.scoring.components.external import _Program
    from molgen.scoring.parallel.batch import ScoringFailed, numbers

    program = _Program(["program"], 1.0, 1, None, None)
    program._lines.put(path.read_bytes().split(b"\n")[0] or b"{}")
    try:
        answer = program._read(1.0)
        numbers(answer.get("scores"), 3)
    except ScoringFailed as problem:
        raise UserError(str(problem.failure)) from None


@cache
def _checkpoint() -> dict[str, bytes]:
    """Return the files of a checkpoint."""
    from tempfile import TemporaryDirectory

    import numpy as np

    from gfncore.training.checkpoint import save_checkpoint

    with TemporaryDirectory() as folder:
        save_checkpoint(
            folder, None, extra={"steps": 3}, arrays={"x": np.arange(6)}, origin={"command": "c"}
        )
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def _checkpoint_part(ending: str) -> Callable[[], tuple[bytes, ...]]:
    return lambda: tuple(data for name, data in _checkpoint().items() if name.endswith(ending))


def _read_checkpoint(ending: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        from gfncore.training.checkpoint import read_checkpoint

        folder = path.parent / "checkpoint.d"
        folder.mkdir(exist_ok=True)
        damaged = path.read_bytes()
        for name, data in _checkpoint().items():
            (folder / name).write_bytes(damaged if name.endswith(ending) else data)
        found = read_checkpoint(folder, {"command": "c"})
        assert found.extra == {"steps": 3} and found.arrays["x"].tolist() == [0, 1, 2, 3, 4, 5]
        assert ending == ".json" or damaged in _checkpoint().values()

    return read


NEXUS_WORDS = (
    *("begin", "end;", "matrix", "dimensions", "ntax=4", "nchar=60", "format", "datatype=dna"),
    *("datatype=standard", "datatype=mixed(dna:1-20,standard:21-60)", "datatype=protein", "gap=-"),
    *("missing=?", "matchchar=.", "interleave", "interleave=no", "transpose", "transpose=no"),
    *('symbols="01"', 'symbols="0 1 2"', 'equate="A=G"', "respectcase", "nolabels", "items"),
    *("taxlabels", "translate", "tree", "utree", "[&U]", "[&R]", "[&W 1/2]", "[&W -1]", "taxa"),
    *(
        "charset",
        "exset",
        "typeset",
        "wtset",
        "ctype",
        "exclude",
        "include",
        "delete",
        "all",
        "\\3",
    ),
    *("1-.", "remainder", "ord:", "unord:", "irrev:", "usertype", "assumptions;", "sets;", "paup;"),
)
NEWICK_WORDS = (
    "[&W 1/2]",
    "[&W -1]",
    "[&W inf]",
    "[&rate=1]",
    ":0",
    ":1e-5",
    ":-1",
    "<color = 5 >",
)
MODELS = ("JC69", "K80", "HKY85{2.1}+F{0.3,0.2,0.2,0.3}+G4{0.5}+I{0.2}", "GTR+F+G4+I", "LG+G4{0.7}")
MODELS += ("TIM{2.5,0.6,4.1}+FQ", "010212{AC=1,AG=2,GT=0.5}+F", "tvme+I{0.3}")
MODELS += ("LG4X+R4{0.3,0.2,0.3,0.7,0.2,1.5,0.2,2.5}", "LG+C10+G2{0.5}", "LG4M+I")
MODELS += ("Q.pfam+R2{0.7,0.4,0.3,2.4}", "mtMAM+F+R3")
SMILES_WORDS = (
    *(
        "[*]",
        "[*:0]",
        "[1*]",
        "[2*]",
        "[H]",
        "[2H]",
        "[CH99999]",
        "[32768*]C",
        "[*-]C",
        "%10",
        "%(1)",
    ),
    *(
        "=",
        "#",
        "$",
        ":",
        "~",
        "@",
        "@@",
        "/",
        "\\",
        "->",
        ">>",
        ".",
        "c1",
        "C1CC1",
        "[nH]",
        "[N+]",
    ),
    *(
        "[U]",
        "[Xx]",
        "[C@H]",
        "[C:1]",
        "[999C]",
        "[C+15]",
        "smiles",
        "name",
        "SMILES\tname",
        "$$$$",
    ),
)
SCORING_WORDS = (
    *("[scoring]", "[[scoring.component]]", "[[scoring.filter]]", "type", "weight", "params"),
    *("transform", '"sigmoid"', '"qed"', '"external"', '"similarity"', '"weight"', "true"),
    *('"alert_catalog"', '"substructure"', "{}", "[]", '"median"', '"isomers"', "inf", "nan"),
    *("aggregation", '"geometric"', '"product"', '"arithmetic"', "1979-05-27", "chunk_size"),
)
SETTINGS_WORDS = (
    *("budget", "seed", "samples", "threads", '"5m"', '"JC69"', "true", "[]", "{}", "inf", "nan"),
    *("model", "branch_prior", '"exp:10"', "environment", '"merging"', "format", "device"),
    *('"gammadir:1,.1,1,1"', '"uniform:0,1"', '"gamma:2,20"'),
    *("elements", "ring_sizes", '"5,6"', '"any"', "core", '"c1ccccc1"', "temperature"),
)
SAMPLE = """model = "HKY85+G4"
branch_prior = "exp:10"
samples = 1000
budget = "5m"
environment = "merging"
length_bins = "128:1e-5:2"
seed = 7
threads = 2

[priors]
kappa = "beta:1,1"
frequencies = "dirichlet:1,2,1,1"
"""
PARSIMONY = """temperature = [0.5, 1.0, 2.0]
budget = "90s"
gaps = "state"
seed = 3
"""
MOLECULES = """environment = "atoms"
elements = ["C", "N", "O"]
ring_sizes = "5,6"
max_rings = 2
max_atoms = 9
reward = "qed"
budget = "30s"
"""
PRIMATES = ("Homo sapiens", "Pan", "Gorilla", "Pongo", "Hylobates", "Macaca")
CONSTRAINTS = (
    "Homo_sapiens Pan\n# a comment\n'Homo sapiens' Pan Gorilla\n",
    "Homo sapiens, Pan\nPongo,Hylobates , Macaca\n",
    "((Pan,Gorilla),(Pongo:1,Macaca:2)0.9,[x]'Homo sapiens');",
    "#NEXUS\nbegin trees;\ntree t = [&R] ((Pan,Gorilla),Pongo,Macaca);\nend;\n",
    "#NEXUS\nbegin mrbayes;\nconstraint a hard = 1-2;\nconstraint b 100 = 1 2 Gorilla;\n"
    "prset topologypr=constraints(a,b);\nend;\n",
)
COMMAND_LINES = (
    "phylogfn\nsample\na.fasta\n-o\nout\n--model\nGTR+G4\n--budget\n1h30m\n--seed\n7\n--prior"
    "\ngamma_shape=exp:1",
    "phylogfn\nparsimony\na.nex\n-o\nout\n--temperature\n0.5,1\n--gaps\nstate\n--budget\n90",
    "phylogfn\nlikelihood\na.fasta\nt.nwk\n--evidence\n--branch-prior\nexp:10\n--threads\n2",
    "phylogfn\ncompare\na.nwk\nb.nwk\n--burnin\n0.25\n--min-frequency\n0.1",
    "molgen\nsample\n-o\nout\n--environment\natoms\n--elements\nC,N\n--max-atoms\n9\n--seed\n0",
    "molgen\nexact\n-o\nout\n--max-atoms\n3\n--budget\n4s",
    "molgen\nscore\nm.smi\n--reward\nqed",
    "molgen\nfragments\nm.smi\n--method\nrings\n--min-count\n2",
)


def _alignment_reader(kind: str, words: tuple[str, ...] = ()) -> Reader:
    return Reader(
        f"alignment, {kind}",
        lambda: seeds.alignments()[kind],
        _read_alignment,
        (*words, "ACGT", "acgt", "RYKMSWBDHVN", "-", "?", "{AC}", "(AC)", ">", "//", "#"),
        f"x.{kind}",
    )


def _all_molecule_seeds() -> tuple[bytes, ...]:
    return (*seeds.molecule_files(), *seeds.fragment_files())


READERS: tuple[Reader, ...] = (
    _alignment_reader("fasta"),
    _alignment_reader("phylip", ("6 60", "6", "60", " 6 60\n")),
    _alignment_reader("nexus", NEXUS_WORDS),
    _alignment_reader("clustal", ("CLUSTAL", "MUSCLE", "* .:")),
    _alignment_reader("stockholm", ("# STOCKHOLM 1.0", "#=GC", "//")),
    *(
        Reader(
            f"{name}, {use}",
            lambda name=name: seeds.tree_files()[name],
            read,
            NEWICK_WORDS if name == "newick" else (*NEWICK_WORDS, *NEXUS_WORDS),
            "x.trees",
        )
        for name in ("newick", "nexus trees", "tree probabilities", "tree table")
        for use, read in (("trees", _read_trees), ("consensus", _read_tree_sample))
        if (name, use) != ("tree table", "trees")
    ),
    Reader(
        "constraints",
        _texts(*CONSTRAINTS),
        _read_constraints,
        (*NEWICK_WORDS, *NEXUS_WORDS, "constraint", "hard", "Pan", "Gorilla", "#", ",", "1-3"),
        "x.constraint",
    ),
    Reader(
        "partition",
        _texts(*PARTITIONS),
        _read_partition,
        (*NEXUS_WORDS, "DNA", "MORPH", "LG+F", "AUTO", "1-60", "\\3", "/3", "charpartition", "{"),
        "x.partition",
    ),
    Reader(
        "model", _texts(*MODELS), _read_model, ("+G", "+I", "+F", "+FO", "{", "}", "AG=4", "JTT")
    ),
    Reader("named clades", _texts(CLADES), _read_named_clades, (*CLADE_TAXA, ":", "'", "#", ",")),
    Reader(
        "model prior", _texts("exp:1", "gamma:2,1", "uniform:0,1", "dirichlet:1,2"), _read_prior
    ),
    Reader("settings, sample", _texts(SAMPLE), _read_sample_settings, SETTINGS_WORDS, "x.toml"),
    Reader(
        "settings, parsimony", _texts(PARSIMONY), _read_parsimony_settings, SETTINGS_WORDS, "x.toml"
    ),
    Reader(
        "settings, molecules", _texts(MOLECULES), _read_molecule_settings, SETTINGS_WORDS, "x.toml"
    ),
    Reader(
        "command line",
        _texts(*COMMAND_LINES),
        _read_options,
        (
            "--budget",
            "--seed",
            "--samples",
            "--threads",
            "5m",
            "1h",
            "--core",
            "--max-rings",
            "any",
        ),
    ),
    Reader("scoring file", seeds.scoring_files, _read_scoring, SCORING_WORDS, "x.toml"),
    Reader("molecules", _all_molecule_seeds, _read_molecules, SMILES_WORDS, "x.smi"),
    Reader(
        "molecules to cut",
        lambda: seeds.molecule_files(4)[:4],
        _cut_molecules,
        SMILES_WORDS,
        "x.smi",
    ),
    Reader("fragments", seeds.fragment_files, _read_fragments, SMILES_WORDS, "x.smi"),
    Reader(
        "core",
        _texts("CC(N[*:0])C", "CC(N[*])C", "[*]c1ccncc1", "c1ccccc1"),
        _read_core,
        SMILES_WORDS,
    ),
    Reader(
        "elements", _texts("C,N,O", "C,N,O,F,S,Cl"), _read_elements, ("[N+]", "[O-]", "Br", "c")
    ),
    Reader(
        "answers of programs",
        _texts('{"id": 1, "scores": [0.5, null, 2]}', '{"ready": true, "scores": [[1], [2], [3]]}'),
        _read_answer,
        ('"scores"', '"error"', "NaN", "Infinity", "[[[", "null", "true", '"0.5"'),
    ),
    *(
        Reader(
            f"checkpoint, {ending}",
            _checkpoint_part(ending),
            _read_checkpoint(ending),
            ('"tensors"', '"sha256"', '"format"', "../../etc/passwd", "null", "[]"),
            "checkpoint",
        )
        for ending in (".json", ".safetensors")
    ),
)
"""All readers; a case belongs to the one at its number modulo their count."""
