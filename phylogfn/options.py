"""The options of ``phylogfn sample`` and ``phylogfn parsimony``.

An option has the same name in the configuration file (``branch_prior = "exp:10"``) and on the
command line (``--branch-prior exp:10``).
"""

# Annotations are objects here, not texts, which early pydantic 2 would look up in another module.
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from gfncore.backward.registry import BackwardName
from gfncore.objectives.registry import reward_objectives
from gfncore.program.objectives import (
    SubTrajectoryLambda,
    backward_option,
    objective_option,
)
from gfncore.program.options import (
    RUN,
    Budget,
    Check,
    Config,
    Count,
    Device,
    Force,
    Option,
    Options,
    Output,
    Quiet,
    Resume,
    Seed,
    Tensorboard,
    Threads,
    integer,
)
from gfncore.text.numbers import parse_float, shortened
from phylogfn.output_names import MOST_RUNS

__all__ = ["DEFAULT_BRANCH_PRIOR", "ParsimonyOptions", "SampleOptions"]

DEFAULT_BRANCH_PRIOR = "gammadir:1,0.1,1,1"  # that of MrBayes since version 3.2.3
COLDEST, HOTTEST = 0.05, 20.0  # temperatures, steps
MODEL = "Model"
PARSIMONY = "Parsimony"
TREES = "Trees"
INPUT = "Input"

ALIGNMENT_FILE = (
    "Alignment file: FASTA, PHYLIP, NEXUS, CLUSTAL or Stockholm, plain or compressed; - for "
    "standard input."
)
Alignment = Annotated[str, Option(ALIGNMENT_FILE, leading_hyphen=True)]
MODELS = (
    "Substitution model, such as JC69, HKY85+G4, GTR+G4+I, 010212, LG+G4, MKV+G4 (morphology), "
    "GTR+ASC (variable sites alone). Braces fix values: HKY85{2.1}+F{.3,.2,.2,.3}+G4{0.5}."
)
Model = Annotated[str, Option(MODELS, group=MODEL)]
PriorOnLengths = Annotated[
    str,
    Option(
        "Prior on branch lengths: exp:RATE (mean 1/RATE), uniform:LOW,HIGH or gamma:SHAPE,RATE "
        "for each branch; gammadir:ALPHA_T,BETA_T,ALPHA,C or invgammadir:... for the tree "
        "length and its proportions (MrBayes' default is gammadir:1,0.1,1,1).",
        group=MODEL,
    ),
]
DataType = Annotated[
    Literal["dna", "rna", "protein", "standard"] | None,
    Option(
        "Type of the data; standard stands for morphological characters.",
        group=INPUT,
        shown="as declared in the file, or detected",
    ),
]
Environment = Annotated[
    Literal["insertion", "merging"],
    Option(
        "Construction method: insertion of one taxon after another (one way to build each "
        "topology, so its probability is exact), or merging of pairs of subtrees.",
        group=RUN,
    ),
]
Format = Annotated[
    Literal["fasta", "phylip", "nexus", "clustal", "stockholm"] | None,
    Option("File format of the alignment.", group=INPUT, shown="detected from the content"),
]


Objective = Annotated[
    str,
    objective_option(
        reward_objectives(orders=False),
        "Training objective (loss) of the sampler's own draws; known trees are also taught by "
        "maximum likelihood.",
    ),
]


def _taxa(value: Any) -> Any:
    """Return names of taxa, each once, from one text or several."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ValueError("names of taxa are expected, such as Lemur_catta,Tarsius_syrichta")
    return tuple(dict.fromkeys(text for text in texts if text.strip()))


Outgroup = Annotated[
    tuple[str, ...],
    Check(_taxa),
    Option(
        "Taxa of the outgroup, separated by commas, or the option repeated: all trees that are "
        "written are rooted on its branch. none: unrooted trees, also if a NEXUS file declares an "
        "outgroup.",
        group=TREES,
        shown="the outgroup of a NEXUS file, otherwise unrooted",
        words=list[str],
        repeated=True,
    ),
]


def _temperatures(value: Any) -> Any:
    """Return temperatures, ascending and each once, from numbers or text such as ``0.5,1``."""
    parts = value if isinstance(value, list | tuple) else [value]
    texts = [piece for part in parts for piece in str(part).split(",")]
    try:
        values = dict.fromkeys(parse_float(text.strip()) for text in texts)
    except ValueError:
        raise ValueError(
            f"'{shortened(','.join(texts))}' is not a list of temperatures; write numbers of "
            "steps, such as 0.5,1,2"
        ) from None
    for number in values:
        if not COLDEST <= number <= HOTTEST:
            raise ValueError(f"{number:g} is out of range; give {COLDEST:g} to {HOTTEST:g} steps")
    if not values:
        raise ValueError("no temperature is given; write one or more, such as 0.5,1,2")
    return tuple(sorted(values))


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    """Return names and values of a table, or of one text or several such as ``name=value``."""
    if isinstance(value, Mapping):
        return list(value.items())
    texts = [value] if isinstance(value, str) else value
    return [(name, given) for name, _, given in (str(text).partition("=") for text in texts)]


def _priors(value: Any) -> Any:
    """Return priors by parameter, from a table or from text such as ``gamma_shape=exp:1``."""
    from gfncore.errors import UserError
    from phylogfn.models.parameters import parse_prior

    if value is None:
        return None
    priors: dict[str, str] = {}
    for name, prior in _pairs(value):
        if not (isinstance(name, str) and isinstance(prior, str) and name and prior):
            raise ValueError(
                f"'{shortened(f'{name}={prior}')}' is not a prior on a parameter; write "
                "PARAMETER=PRIOR, such as gamma_shape=exp:1"
            )
        key = name.strip().replace("-", "_")
        if key in priors:
            raise ValueError(f"'{shortened(key)}' has two priors; give one")
        try:
            priors[key] = str(parse_prior(prior))
        except UserError as error:
            raise ValueError(str(error)) from None
    return priors or None


def _models(value: Any) -> Any:
    """Return models by part, from a table or from text such as ``gene1=HKY85+G4``."""
    if value is None:
        return None
    models: dict[str, str] = {}
    for name, model in _pairs(value):
        if not (isinstance(name, str) and isinstance(model, str) and name.strip() and model):
            raise ValueError(
                f"'{shortened(f'{name}={model}')}' is not the model of a part; write PART=MODEL, "
                "such as gene1=HKY85+G4"
            )
        if name.strip() in models:
            raise ValueError(f"'{shortened(name.strip())}' has two models; give one")
        models[name.strip()] = model.strip()
    return models or None


def _links(value: Any) -> Any:
    """Return names of parameters, each once, from one text or several."""
    from phylogfn.models.partitioned import LINKABLE

    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ValueError("names of parameters are expected, such as frequencies,gamma_shape")
    names = [part.strip().replace("-", "_") for text in texts for part in text.split(",")]
    for name in names:
        if name and name not in (*LINKABLE, "all"):
            raise ValueError(
                f"'{shortened(name)}' is not a parameter that parts can share; give "
                f"{', '.join(LINKABLE)} or all"
            )
    return tuple(dict.fromkeys(name for name in names if name))


Constraint = Annotated[
    str | None,
    Option(
        "File of hard constraints: one clade per line (taxa separated by blanks or commas), or a "
        "Newick or NEXUS tree of any degree. Only topologies with all of its clades are sampled, "
        "and the prior is uniform over these; taxa that the tree lacks are free.",
        group=TREES,
    ),
]


class SampleOptions(Options):
    """Options of ``phylogfn sample``."""

    GROUPS: ClassVar[tuple[str, ...]] = (MODEL, TREES, RUN, INPUT)
    POSITIONAL: ClassVar[Mapping[str, str]] = {"alignment": "ALIGNMENT"}

    alignment: Alignment
    output: Output
    config: Config = None
    model: Annotated[
        Model,
        Option(f"{MODELS} auto compares models and averages over them.", group=MODEL),
    ] = "auto"
    branch_prior: PriorOnLengths = DEFAULT_BRANCH_PRIOR
    priors: Annotated[
        dict[str, str] | None,
        Check(_priors),
        Option(
            "Prior on a free parameter of the model as PARAMETER=PRIOR, such as gamma_shape=exp:1, "
            "kappa=beta:1,1, frequencies=dirichlet:1 or invariant=uniform:0,0.9; may be repeated. "
            "In a file: the table `[priors]`.",
            group=MODEL,
            shown="those of MrBayes",
            names=("--prior",),
            words=list[str],
            repeated=True,
        ),
    ] = None
    partitions: Annotated[
        str | None,
        Option(
            "Partition of the columns, each part with its own model: a file in the style of RAxML "
            "(DNA, gene1 = 1-500) or NEXUS (charset, charpartition), or the name of a partition in "
            "the NEXUS alignment; none: a partition in the alignment's file is ignored.",
            group=MODEL,
            shown="that of a NEXUS file, if it has one",
        ),
    ] = None
    codon_positions: Annotated[
        str | None,
        Option(
            "Divide nucleotides by codon position, counted from the first column of each part: "
            "1,2,3 (three parts) or 1+2,3 (two).",
            group=MODEL,
            shown="not divided",
        ),
    ] = None
    models: Annotated[
        dict[str, str] | None,
        Check(_models),
        Option(
            "Model of a part as PART=MODEL, such as gene1=HKY85+G4; instead of the name of a part, "
            "dna, protein or standard stands for all parts with such data; may be repeated. In a "
            "file: the table `[models]`.",
            group=MODEL,
            shown="--model",
            names=("--part-model",),
            words=list[str],
            repeated=True,
        ),
    ] = None
    link: Annotated[
        tuple[str, ...],
        Check(_links),
        Option(
            "Parameters that the parts share, separated by commas: kappa, exchangeabilities, "
            "frequencies, gamma_shape, free_rates, invariant; rates: all parts evolve at one rate; "
            "all.",
            group=MODEL,
            shown="none: each part has its own, and relative rates vary",
            words=list[str],
            repeated=True,
        ),
    ] = ()
    outgroup: Outgroup = ()
    constraint: Constraint = None
    samples: Annotated[Count, Option("Number of posterior draws to write.", group=RUN)] = 1000
    budget: Budget = "5m"
    runs: Annotated[
        int,
        integer(1, MOST_RUNS),
        Option(
            "Number of independent runs within the budget. They are compared and combined; a "
            "single run cannot show what it has missed.",
            group=RUN,
        ),
    ] = 2
    environment: Environment = "insertion"
    backward_policy: Annotated[
        BackwardName,
        backward_option(
            "(merging only) Backward policy, which divides the reward of a topology among its "
            "construction histories."
        ),
    ] = "uniform"
    objective: Objective = "trajectory_balance"
    sub_trajectory_lambda: SubTrajectoryLambda = None
    branch_lengths: Annotated[
        Literal["collapsed", "bins", "lognormal"],
        Option(
            "(merging only) Treatment of branch lengths: integrated out of the reward "
            "(collapsed), or drawn with the tree, from histograms (bins) or from mixtures of "
            "log-normal densities.",
            group=RUN,
        ),
    ] = "collapsed"
    length_bins: Annotated[
        str,
        Option(
            "(--branch-lengths bins only) Histogram bins as NUMBER:SMALLEST:LARGEST edge, equally "
            "wide in log length.",
            group=RUN,
        ),
    ] = "128:1e-5:2"
    random_trees: Annotated[
        bool,
        Option(
            "Also train on trees built by random steps, so that the probabilities of the sampler "
            "also rank improbable trees. Requires --branch-lengths collapsed.",
            group=RUN,
        ),
    ] = False
    predictive: Annotated[
        bool,
        Option(
            "Check the model: compare the data with alignments simulated from posterior draws "
            "(posterior predictive checks of composition, site patterns and changes).",
            group=RUN,
        ),
    ] = False
    ancestral: Annotated[
        str | None,
        Option(
            "Write ancestral sequences, averaged over the draws, of the clades in a file (one per "
            "line: its taxa, separated by commas or blanks, after a name and a colon if it has "
            "one), or of all clades of the consensus tree (consensus).",
            group=TREES,
            shown="none",
        ),
    ] = None
    seed: Seed = 1
    threads: Threads = None
    device: Device = "auto"
    tensorboard: Tensorboard = False
    data_type: DataType = None
    format: Format = None
    resume: Resume = False
    force: Force = False
    quiet: Quiet = False


class ParsimonyOptions(Options):
    """Options of ``phylogfn parsimony``."""

    GROUPS: ClassVar[tuple[str, ...]] = (PARSIMONY, TREES, RUN, INPUT)
    POSITIONAL: ClassVar[Mapping[str, str]] = {"alignment": "ALIGNMENT"}

    alignment: Annotated[
        Alignment,
        Option(
            f"{ALIGNMENT_FILE} Character weights, ordered and excluded characters are read from "
            "NEXUS files.",
            leading_hyphen=True,
        ),
    ]
    output: Output
    config: Config = None
    gaps: Annotated[
        Literal["missing", "state"],
        Option("Treatment of gaps: missing data, or an additional state.", group=PARSIMONY),
    ] = "missing"
    temperature: Annotated[
        tuple[float, ...],
        Check(_temperatures),
        Option(
            "Sampling temperatures in steps, one or more (0.5 1 2 or 0.5,1,2): a tree of score s "
            "is drawn with probability proportional to exp(-s/T).",
            group=PARSIMONY,
            shown="1",
            words=list[str],
        ),
    ] = (1.0,)
    excess: Annotated[
        float | None,
        Option(
            "Maximum number of steps above the best score of the trees that the search collects.",
            group=PARSIMONY,
            shown="2, or more while few trees are found",
        ),
    ] = None
    outgroup: Outgroup = ()
    samples: Annotated[Count, Option("Number of trees to draw at each temperature.", group=RUN)] = (
        1000
    )
    budget: Budget = "5m"
    environment: Environment = "insertion"
    seed: Seed = 1
    threads: Threads = None
    device: Device = "auto"
    tensorboard: Tensorboard = False
    data_type: DataType = None
    format: Format = None
    resume: Annotated[
        Resume,
        Option(
            "Resume the run in the output directory from its last checkpoint, or draw at other "
            "temperatures.",
        ),
    ] = False
    force: Force = False
    quiet: Quiet = False
