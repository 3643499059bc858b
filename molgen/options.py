"""The options of ``molgen sample`` and ``molgen exact``.

An option has the same name in the configuration file (``max_atoms = 30``) and on the command line
(``--max-atoms 30``). The file may also contain the tables of the scoring (``[scoring]``,
``[[scoring.component]]``), instead of ``reward``.
"""

# Annotations are objects here, not texts, which early pydantic 2 would look up in another module.
from collections.abc import Mapping
from pathlib import Path
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
from gfncore.text.numbers import check_int, parse_float, shortened
from molgen.symmetry import SYMMETRIES, Symmetry

__all__ = ["ExactOptions", "MoleculeOptions", "SampleOptions", "read_exponents"]

MOST_COUNT = 10_000  # atoms, rings or fragments of a molecule
MOST_DRAWS = 10_000_000
MOST_EXPONENT = 1e6
MOST_RATIO = 1000.0  # of the highest to the lowest exponent of one sampler
DEFAULT_CONDITIONING = "input"
SCORE = "Score"
MOLECULES = "Molecules"

RewardName = Annotated[
    str | None, Option("Name of a score; `molgen rewards` lists them.", group=SCORE, shown="qed")
]
Environment = Annotated[
    Literal["fragments", "atoms"],
    Option("Build molecules from fragments or atom by atom.", group=MOLECULES),
]
Objective = Annotated[str, objective_option(reward_objectives(), "Training objective (loss).")]


def _words(value: Any) -> Any:
    """Return ``C,N,O`` as a list, and a list as it is."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


def _rings(value: Any) -> Any:
    words = [value] if isinstance(value, int) else _words(value)
    if not isinstance(words, list | tuple) or tuple(words) in (("any",), ("none",)):
        return words
    try:
        return [check_int(word, -MOST_COUNT, MOST_COUNT) for word in words]
    except ValueError:
        raise ValueError(
            f"{shortened(repr(value))} are not ring sizes; write them as 5,6, or 'any', or 'none' "
            "for no rings"
        ) from None


def _ring_count(value: Any) -> Any:
    if not isinstance(value, str) or value == "any":
        return value
    try:
        return check_int(value, 0, MOST_COUNT)
    except ValueError:
        raise ValueError(
            f"{shortened(repr(value))} is not a number of rings; write 6, or 'any'"
        ) from None


def _corrections(value: Any) -> Any:
    words = _words(value)
    return list(SYMMETRIES) if words == ["all"] else words


def read_exponents(value: Any) -> Any:
    """Return one exponent as a number; several, such as ``16,32``, ascending and each once."""
    parts = value if isinstance(value, list | tuple) else [value]
    texts = [piece for part in parts for piece in str(part).split(",")]
    try:
        values = sorted({parse_float(text.strip()) for text in texts})
    except ValueError:
        raise ValueError(
            f"'{shortened(','.join(texts))}' is not a list of exponents; write one number or more, "
            "such as 16,32,64"
        ) from None
    for number in values:
        if not 0.0 <= number <= MOST_EXPONENT:
            raise ValueError(
                f"{number} is out of range; give an exponent from 0 to {MOST_EXPONENT:g}"
            )
    if not values:
        raise ValueError("no exponent is given; write one number or more, such as 16,32,64")
    if len(values) == 1:
        return values[0]
    if values[0] == 0.0 or values[-1] > MOST_RATIO * values[0]:
        raise ValueError(
            f"{values[0]:g} to {values[-1]:g} is too wide a range for one sampler; give exponents "
            f"above 0, the highest at most {MOST_RATIO:g} times the lowest"
        )
    return tuple(values)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


class MoleculeOptions(Options):
    """Options of the score and of the space of molecules."""

    GROUPS: ClassVar[tuple[str, ...]] = (SCORE, MOLECULES, RUN)
    LIMITS: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Defaults that depend on the environment."""

    output: Output
    reward: RewardName = None
    scoring: dict[str, Any] | None = None
    """The tables of a scoring file, instead of ``reward``."""
    scoring_directory: str | None = None
    """Where files that ``scoring`` names are looked for."""
    config: Annotated[
        Path | None,
        Option(
            "TOML file of settings, of the score, or of both; command-line options override the "
            "file.",
            group=SCORE,
        ),
    ] = None
    environment: Environment = "fragments"
    core: Annotated[
        str | None,
        Option(
            "SMILES that every molecule grows from, [*] where it may grow.",
            group=MOLECULES,
            leading_hyphen=True,
        ),
    ] = None
    max_atoms: Annotated[
        int | None, Option("Maximum number of heavy atoms per molecule.", group=MOLECULES)
    ] = None
    max_fragments: Annotated[
        int | None, Option("Maximum number of fragments per molecule.", group=MOLECULES)
    ] = None
    fragments: Annotated[
        str | None,
        Option(
            "File of fragments; `molgen fragments` makes one from molecules.",
            group=MOLECULES,
            shown="the fragments of molgen",
        ),
    ] = None
    elements: Annotated[
        tuple[str, ...] | None,
        Check(_words),
        Option(
            "Elements when building from atoms, such as C,N,O,F,S,Cl.",
            group=MOLECULES,
            words=str,
        ),
    ] = None
    ring_sizes: Annotated[
        tuple[int, ...] | tuple[Literal["any", "none"]] | None,
        Check(_rings),
        Option(
            "Sizes of rings when building from atoms, such as 5,6; or any, or none.",
            group=MOLECULES,
            words=str,
        ),
    ] = None
    max_rings: Annotated[
        int | Literal["any"] | None,
        Check(_ring_count),
        Option(
            "Maximum number of rings per molecule when building from atoms, or any.",
            group=MOLECULES,
            words=str,
        ),
    ] = None
    strained: Annotated[
        bool | None,
        Option(
            "Whether rings may have triple or cumulated double bonds when building from atoms.",
            group=MOLECULES,
        ),
    ] = None

    @classmethod
    def shown_default(cls, name: str) -> str | None:
        """Return the default as the help has it, that of the default environment first."""
        environments = sorted(cls.LIMITS, key=lambda other: other != cls.environment)
        values = [cls.LIMITS[one][name] for one in environments if name in cls.LIMITS[one]]
        return " or ".join(dict.fromkeys(map(_shown, values))) or super().shown_default(name)


class SampleOptions(MoleculeOptions):
    """Options of ``molgen sample``."""

    LIMITS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "atoms": {
            "elements": ("C", "N", "O", "F", "S", "Cl"),
            "ring_sizes": (5, 6),
            "max_rings": 6,
            "strained": False,
            "max_atoms": 30,
        },
        "fragments": {"max_fragments": 8, "max_atoms": 45},
    }

    reward_exponent: Annotated[
        float | tuple[float, ...],
        Check(read_exponents),
        Option(
            "Molecules are drawn in proportion to the score raised to this power: the higher, the "
            "better and the less diverse the molecules are. With 1 most of them are mediocre, as "
            "most molecules that can be built are. With several (16 32 64 or 16,32,64) one sampler "
            "is trained for all of them, and molecules are drawn at each.",
            group=SCORE,
            words=list[str],
        ),
    ] = 96.0
    samples: Annotated[
        Count, Option("Number of molecules in the library, for each exponent.", group=RUN)
    ] = 1000
    max_per_scaffold: Annotated[
        int | None,
        Option(
            "Maximum number of library molecules per Murcko scaffold; the first drawn are kept.",
            group=RUN,
            shown="any",
        ),
    ] = None
    oracle_calls: Annotated[int, Option("Maximum number of molecules to score.", group=RUN)] = (
        100_000
    )
    budget: Budget = "5m"
    symmetry: Annotated[
        Symmetry,
        Option("Correction of the sampling probabilities of symmetric molecules.", group=RUN),
    ] = "merged"
    objective: Objective = "log_variance"
    conditioning: Annotated[
        Literal["input", "scaling", "both"] | None,
        Option(
            "(several exponents only) How the sampler depends on the exponent: as an input of the "
            "network, by a factor on its logits, or both.",
            group=RUN,
            shown=f"{DEFAULT_CONDITIONING} with several exponents",
        ),
    ] = None
    order_temperature: Annotated[
        float | None,
        Option(
            "(order_preserving only) Temperature; lower values concentrate on the best molecules "
            "later.",
            group=RUN,
            shown="1",
        ),
    ] = None
    sub_trajectory_lambda: SubTrajectoryLambda = None
    backward_policy: Annotated[
        BackwardName,
        backward_option(
            "Backward policy, which divides the reward of a molecule among the ways to build it."
        ),
    ] = "uniform"
    seed: Seed = 1
    threads: Threads = None
    device: Device = "auto"
    tensorboard: Tensorboard = False
    resume: Resume = False
    force: Force = False
    quiet: Quiet = False


class ExactOptions(MoleculeOptions):
    """Options of ``molgen exact``."""

    LIMITS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "atoms": {
            "elements": ("C", "N", "O"),
            "ring_sizes": ("any",),
            "max_rings": "any",
            "strained": True,
            "max_atoms": 5,
        },
        "fragments": {"max_fragments": 3, "max_atoms": 45},
    }

    environment: Environment = "atoms"
    symmetry: Annotated[
        tuple[Symmetry, ...],
        Check(_corrections),
        Option(
            "Corrections to compare: merged, reward_scaling, flow_scaling, none, several of "
            "them separated by commas, or all.",
            group=RUN,
            shown="all",
            words=str,
        ),
    ] = SYMMETRIES
    draws: Annotated[
        int,
        integer(2, MOST_DRAWS),  # a single draw gives no standard error
        Option("Molecules drawn for the test of goodness of fit.", group=RUN),
    ] = 100_000
    budget: Annotated[
        Budget, Option("Wall-clock time for training each correction.", group=RUN)
    ] = "5m"
    seed: Seed = 1
    threads: Threads = None
    device: Device = "auto"
    force: Force = False
    quiet: Quiet = False
