"""MrBayes' own examples: `phylogfn sample` and MrBayes under the same model and priors.

Usage, from the checkout, with Debian's ``mb`` on the path (its examples are in
``/usr/share/doc/mrbayes/examples``)::

    python -m benchmarks.phylogfn.mrbayes_examples primates replicase --budget 2m --seeds 1 2 3 \\
        --folder build/mrbayes-examples

MrBayes makes two independent runs and, in another process, two runs of stepping-stone sampling
(Xie et al. 2011). What it wrote stays in ``--folder`` and is used again. Compared are the log
evidences, the probabilities of all clades above .05 in either program, and the posterior means of
all parameters. ``--quick`` runs a short analysis of six taxa, to see that the script works.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.machine import markdown_table, measured_on

__all__ = ["EXAMPLES", "Example", "MrBayesResult", "largest_differences", "main"]

EXAMPLES_OF_DEBIAN = Path("/usr/share/doc/mrbayes/examples")
LEAST_PROBABILITY = 0.05  # of a clade that is compared
QUICK_TAXA = 6


@dataclass(frozen=True)
class Example:
    """An example of MrBayes, and a model for it in the language of both programs.

    Attributes
    ----------
    file : str
        Name of the file of MrBayes.
    columns : slice
        Those that are used.
    charsets : mapping of str to str
        Parts of these columns, as NEXUS writes them; empty for one part.
    mrbayes : str
        Commands that set the model, beside the prior on branch lengths.
    options : tuple of str
        Options of ``phylogfn sample`` that set it.
    datatype : str
    generations, stepping_stone_generations : int
        Of each of the runs of MrBayes.
    """

    file: str
    columns: slice
    charsets: Mapping[str, str]
    mrbayes: str
    options: tuple[str, ...]
    datatype: str
    generations: int
    stepping_stone_generations: int


_UNLINKED = (
    "unlink statefreq=(all) revmat=(all) shape=(all) pinvar=(all);\n"
    "prset applyto=(all) ratepr=variable;\n"
)
EXAMPLES = {
    "primates": Example(
        "primates.nex",
        slice(None),
        {"first": "1-.\\3", "second": "2-.\\3", "third": "3-.\\3"},
        "lset applyto=(all) nst=6 rates=gamma;\n" + _UNLINKED,
        ("--model", "GTR+G4"),
        "dna",
        1_500_000,
        1_530_000,
    ),
    "replicase": Example(
        "replicase.nex",
        slice(None),
        {},
        "lset nst=6 rates=gamma;\n",
        ("--model", "GTR+G4"),
        "rna",
        2_000_000,
        1_020_000,
    ),
    "cynmix": Example(
        "cynmix.nex",
        slice(166, None),  # without the morphological characters
        {"COI": "1-1078", "EF1a": "1079-1445", "LWRh": "1446-1926", "R28S": "1927-3080"},
        "lset applyto=(all) nst=6 rates=invgamma;\n" + _UNLINKED,
        ("--model", "GTR+I+G4"),
        "dna",
        600_000,
        1_020_000,
    ),
    "avian_ovomucoids": Example(
        "avian_ovomucoids.nex",
        slice(None),
        {},
        "lset rates=gamma;\nprset aamodelpr=fixed(wag);\n",
        ("--model", "WAG+G4"),
        "protein",
        1_000_000,
        1_020_000,
    ),
}


@dataclass(frozen=True)
class MrBayesResult:
    """What the runs of MrBayes gave.

    Attributes
    ----------
    clades : mapping of frozenset to float
        Probabilities; a clade is the side of a split without the first taxon.
    means, sds : mapping of str to float
        Of the parameters.
    asdsf : float
        Average standard deviation of split frequencies.
    log_evidences : list of float
        Of the two runs of stepping-stone sampling.
    seconds : float
        Of the chains, both runs together in one process.
    """

    clades: Mapping[frozenset[str], float]
    means: Mapping[str, float]
    sds: Mapping[str, float]
    asdsf: float
    log_evidences: list[float]
    seconds: float


def read_matrix(path: Path) -> dict[str, list[str]]:
    """Return the characters of each taxon of a NEXUS matrix, interleaved or not."""
    text = re.sub(r"\[[^\]]*\]", "", path.read_text())
    matrix = re.split(r"(?i)\bmatrix\b", text, maxsplit=1)[1].split(";")[0]
    rows: dict[str, list[str]] = {}
    for line in matrix.splitlines():
        words = line.split()
        if words:
            characters = re.findall(r"[({][^)}]*[)}]|.", "".join(words[1:]))
            rows.setdefault(words[0], []).extend(characters)
    same = re.search(r"(?i)\bmatchchar\s*=\s*(\S)", text)
    if same:  # the character of the first taxon
        first = next(iter(rows.values()))
        for name, row in rows.items():
            rows[name] = [f if c == same[1] else c for c, f in zip(row, first, strict=True)]
    return rows


def write_alignment(example: Example, source: Path, path: Path, n_taxa: int | None) -> list[str]:
    """Write the columns that are used, with their parts; return the names of the taxa."""
    rows = {name: row[example.columns] for name, row in read_matrix(source).items()}
    names = list(rows)[:n_taxa]
    n_sites = len(rows[names[0]])
    lines = [f"{name} {''.join(rows[name])}" for name in names]
    text = (
        "#NEXUS\nbegin data;\n"
        f"dimensions ntax={len(names)} nchar={n_sites};\n"
        f"format datatype={example.datatype} gap=- missing=?;\nmatrix\n"
        + "\n".join(lines)
        + "\n;\nend;\n"
    )
    if example.charsets:
        parts = [
            f"charset {name} = {_columns(example, name, n_sites)};" for name in example.charsets
        ]
        members = ", ".join(f"{name}: {name}" for name in example.charsets)
        text += "begin sets;\n" + "\n".join(parts) + f"\ncharpartition parts = {members};\nend;\n"
    path.write_text(text)
    return names


def _columns(example: Example, name: str, n_sites: int) -> str:
    return example.charsets[name].replace(".", str(n_sites))


def run_mrbayes(
    example: Example, folder: Path, name: str, n_sites: int, generations: int, command: str
) -> None:
    """Run one process of ``mb`` unless its result is there."""
    log = folder / f"{name}.log"
    if log.exists() and "time:" in log.read_text():
        return
    setup = ""
    if example.charsets:
        setup = "".join(
            f"charset {part} = {_columns(example, part, n_sites)};\n" for part in example.charsets
        )
        members = ", ".join(example.charsets)
        setup += f"partition parts = {len(example.charsets)}: {members};\nset partition=parts;\n"
    script = folder / f"{name}.mb"
    script.write_text(
        "#NEXUS\nbegin mrbayes;\nset autoclose=yes nowarn=yes quitonerror=yes "
        "seed=11 swapseed=12;\nexecute alignment.nex;\n"
        + setup
        + example.mrbayes
        + "prset brlenspr=unconstrained:exponential(10);\n"
        + command.format(ngen=generations, every=max(generations // 10_000, 10), name=name)
        + "end;\n"
    )
    began = time.perf_counter()
    with open(log, "w") as out:
        done = subprocess.run(["mb", script.name], cwd=folder, stdout=out, stderr=out, check=False)
    if done.returncode:
        raise SystemExit(f"mb ended with code {done.returncode}; its log is {log}")
    with open(log, "a") as out:
        out.write(f"\ntime: {time.perf_counter() - began:.0f}\n")


MCMC = (
    "mcmc ngen={ngen} nruns=2 nchains=2 samplefreq={every} printfreq=1000000000 "
    "diagnfreq=1000000000 filename={name};\nsump filename={name};\nsumt filename={name};\n"
)
STEPPING_STONE = (
    "ss ngen={ngen} nsteps=50 nruns=2 nchains=1 samplefreq={every} printfreq=1000000000 "
    "diagnfreq=1000000000 filename={name};\n"
)


def read_mrbayes(folder: Path, names: Sequence[str]) -> MrBayesResult:
    """Return what two processes of ``mb`` wrote."""

    def table(suffix: str) -> pd.DataFrame:
        return pd.read_csv(folder / f"mcmc.{suffix}", sep=r"\s+", skiprows=1)

    members = dict(table("parts").to_numpy().tolist())
    clades = {}
    for number, probability in table("tstat").iloc[:, [0, 2]].to_numpy().tolist():
        dots = members[int(number)]
        clades[_side([n for n, dot in zip(names, dots, strict=True) if dot == "*"], names)] = (
            probability
        )
    parameters = table("pstat").set_index("Parameter")
    parameters.index = [re.sub(r"^TL\{all\}$", "TL", name) for name in parameters.index]
    log = (folder / "mcmc.log").read_text()
    asdsf = float(re.findall(r"Average standard deviation of split frequencies = (\S+)", log)[-1])
    stones = re.findall(r"(?m)^ +[12] +(-\d+\.\d+) *$", (folder / "ss.log").read_text())
    return MrBayesResult(
        clades,
        parameters["Mean"].to_dict(),
        (parameters["Variance"] ** 0.5).to_dict(),
        asdsf,
        [float(value) for value in stones],
        float(re.findall(r"time: (\d+)", log)[-1]),
    )


def _side(taxa: Sequence[str], names: Sequence[str]) -> frozenset[str]:
    """The side of a split without the first taxon."""
    side = frozenset(taxa)
    return frozenset(names) - side if names[0] in side else side


def largest_differences(
    clades: Mapping[frozenset[str], float], means: Mapping[str, float], other: MrBayesResult
) -> tuple[float, float, str, float]:
    """Return the largest differences from MrBayes.

    Returns
    -------
    clade : float
        Largest difference of a probability.
    relative : float
        Largest relative difference of the mean of a parameter, and `parameter`, its name.
    parameter : str
    in_sds : float
        Largest difference of a mean in posterior standard deviations.
    """
    both = {
        side
        for side, p in [*clades.items(), *other.clades.items()]
        if p > LEAST_PROBABILITY and len(side) > 1
    }
    clade = max(
        (abs(clades.get(side, 0.0) - other.clades.get(side, 0.0)) for side in both), default=0.0
    )
    common = [name for name in other.means if name in means]
    if not common:
        raise ValueError("no parameter has the same name in both programs")
    relative = {name: abs(means[name] / other.means[name] - 1.0) for name in common}
    worst = max(common, key=lambda name: relative[name])
    in_sds = max(abs(means[name] - other.means[name]) / other.sds[name] for name in common)
    return clade, relative[worst], worst, in_sds


def run_phylogfn(
    example: Example, alignment: Path, output: Path, budget: str, seed: int, further: Sequence[str]
) -> dict:
    """Run ``phylogfn sample`` and return its summary."""
    parts = ("--partitions", "parts") if example.charsets else ()
    command = [sys.executable, "-m", "phylogfn", "sample", str(alignment), "-o", str(output)]
    command += [*example.options, *parts, "--branch-prior", "exp:10", "--seed", str(seed)]
    command += ["--budget", budget, "--force", *further]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):  # 3: the run says that it has failed
        raise SystemExit(f"phylogfn sample ended with code {done.returncode}:\n{done.stderr}")
    return json.loads((output / "summary.json").read_text())


HEADER = [
    "example",
    "seed",
    "log evidence",
    "stepping stone, 2 runs",
    "largest difference of a clade",
    "of a parameter's mean",
    "in posterior sd",
    "draws",
    "Pareto k",
    "effective",
    "verdict",
    "wall s",
    "MrBayes: ASDSF, s",
]


def rows_of(name: str, options: argparse.Namespace) -> list[list[str]]:
    """Return the rows of one example, one of each seed."""
    example = EXAMPLES[name]
    folder = options.folder / (f"{name}-quick" if options.quick else name)
    folder.mkdir(parents=True, exist_ok=True)
    n_taxa = QUICK_TAXA if options.quick else None
    alignment = folder / "alignment.nex"
    names = write_alignment(example, options.examples / example.file, alignment, n_taxa)
    n_sites = len(read_matrix(alignment)[names[0]])
    generations = (
        (20_000, 20_400)
        if options.quick
        else (example.generations, example.stepping_stone_generations)
    )
    for process, command, n in zip(
        ("mcmc", "ss"), (MCMC, STEPPING_STONE), generations, strict=True
    ):
        run_mrbayes(example, folder, process, n_sites, n, command)
    reference = read_mrbayes(folder, names)
    rows = []
    for seed in options.seeds:
        output = folder / f"phylogfn-{seed}"
        summary = run_phylogfn(example, alignment, output, options.budget, seed, options.further)
        clades = pd.read_csv(output / "clades.tsv", sep="\t")
        found = {
            _side(taxa.split(","), names): float(p)
            for taxa, p in zip(clades["taxa"], clades["probability"], strict=True)
        }
        means = pd.read_csv(output / "parameters.tsv", sep="\t").set_index("parameter")["mean"]
        clade, relative, parameter, in_sds = largest_differences(found, means.to_dict(), reference)
        extra = summary["extra"]
        method = extra["branch_length_method"]
        rungs = f", {extra['annealing_steps']} steps" if method == "annealed" else ""
        rows.append(
            [
                name,
                str(seed),
                f"{summary['log_evidence']:.2f} ± {summary['log_evidence_se'] or math.nan:.3f}",
                ", ".join(f"{value:.2f}" for value in reference.log_evidences),
                f"{clade:.3f}",
                f"{100 * relative:.1f} % ({parameter})",
                f"{in_sds:.2f}",
                f"{extra['branch_length_draws']:,} ({method}{rungs})",
                f"{extra['branch_length_pareto_k']:.2f}",
                f"{extra['branch_length_ess']:,.0f}",
                summary["verdict"],
                f"{summary['wall_seconds']:.0f}",
                f"{reference.asdsf:.4f}, {reference.seconds:.0f}",
            ]
        )
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Run both programs on each example and print a Markdown block."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phylogfn.mrbayes_examples")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(EXAMPLES)}; default: all")
    parser.add_argument("--examples", type=Path, default=EXAMPLES_OF_DEBIAN)
    parser.add_argument("--folder", type=Path, default=Path("build/mrbayes-examples"))
    parser.add_argument("--budget", default="2m")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--further", nargs=argparse.REMAINDER, default=[], help="of phylogfn sample"
    )
    options = parser.parse_args(argv)
    unknown = sorted(set(options.names) - set(EXAMPLES))
    if unknown:
        parser.error(f"unknown examples: {', '.join(unknown)}")
    if options.quick:
        options.names, options.budget, options.seeds = ["replicase"], "9s", [1]
        options.further = ["--threads", "1", "--runs", "1"]
    rows = [row for name in options.names or EXAMPLES for row in rows_of(name, options)]
    command = argv if argv is not None else sys.argv[1:]
    print(measured_on(["python", "-m", "benchmarks.phylogfn.mrbayes_examples", *command]))
    print(markdown_table(HEADER, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
