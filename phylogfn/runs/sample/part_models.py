"""The models of the parts of an alignment: those of the user, or chosen for each part by BIC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gfncore.errors import UserError
from gfncore.program.messages import Note
from gfncore.text.hints import did_you_mean
from gfncore.text.numbers import shortened
from phylogfn.alignments.alignment import variable_sites
from phylogfn.alignments.partitions.choice import PartitionChoice
from phylogfn.alignments.partitions.codons import parse_codon_positions
from phylogfn.alignments.patterns import CharacterPatterns
from phylogfn.likelihood.screening import AUTO, candidate_names, is_auto, screen_models
from phylogfn.models import ModelSpec, parse_model, partitioned_spec, shareable

if TYPE_CHECKING:
    from phylogfn.alignments.alignment import Alignment
    from phylogfn.alignments.partitions.parts import AlignmentPart
    from phylogfn.alignments.patterns import PartitionedPatterns, SitePatterns
    from phylogfn.settings import SampleSettings
    from phylogfn.trees.tree import Tree

__all__ = [
    "candidates_of",
    "check_parts",
    "choose_part_models",
    "models_of_parts",
    "partition_choice",
    "spec_of_parts",
]


def partition_choice(settings: SampleSettings) -> PartitionChoice:
    """Return what the settings say about partitions."""
    positions = settings.codon_positions
    groups = parse_codon_positions(positions) if positions else ()
    return PartitionChoice(settings.partitions, groups)


def models_of_parts(alignment: Alignment, settings: SampleSettings) -> tuple[str, ...]:
    """Return the model of each part as the user gives it, or "auto"; empty without parts.

    The first of these that there is: the entry of ``models`` for the part, that for its data type,
    the model in the partition file, and the model of all parts if it is for this type of data.

    Raises
    ------
    UserError
        A model is given for a part that does not exist, or one is not for the data of its part.
    """
    given = settings.models or {}
    known = [part.name for part in alignment.parts]
    types = list(dict.fromkeys(_kind(part) for part in alignment.parts))
    for name in given:
        if name in known or name.lower() in types:
            continue
        if not known:
            raise UserError(
                f"--part-model {shortened(name)}: the alignment is not divided into parts; give "
                "--model, --partitions or --codon-positions"
            )
        raise UserError(
            f"--part-model {shortened(name)}: there is no such part or type of data"
            f"{did_you_mean(name, known)}; there are {', '.join([*known, *types])}"
        )
    fitting = [kind for kind in types if _fits(settings.model, kind)]
    if alignment.parts and not fitting:
        parse_model(settings.model, types[0])  # raises why it does not fit
    models = []
    for part in alignment.parts:
        kind = _kind(part)
        by_type = {name.lower(): model for name, model in given.items()}
        model = given.get(part.name, by_type.get(kind, part.model))
        if not model:
            model = settings.model if kind in fitting else AUTO
        if not is_auto(model):
            try:
                parse_model(model, part.alphabet)
            except UserError as problem:
                raise UserError(f"part {part.name!r}: {problem}") from None
        models.append(AUTO if is_auto(model) else model)
    return tuple(models)


def check_parts(
    settings: SampleSettings, alignment: Alignment, patterns: SitePatterns, supported: bool
) -> None:
    """Refuse settings that do not go with parts, or need some (UserError)."""
    several = len(patterns.parts) > 1 or isinstance(patterns, CharacterPatterns)
    if settings.link and not alignment.parts:
        raise UserError(
            "--link: the alignment is not divided into parts; give --partitions or "
            "--codon-positions"
        )
    if several and not supported:
        raise UserError(
            f"--environment {settings.environment}: does not support partitions and morphology; "
            "use insertion"
        )


def spec_of_parts(
    alignment: Alignment,
    patterns: PartitionedPatterns,
    models: Sequence[str],
    linked: Sequence[str],
) -> ModelSpec:
    """Return the models of all parts as one, with observed frequencies where they ask for them."""
    specs = [
        parse_model(candidates_of(alignment, part)[0] if is_auto(model) else model, part.alphabet)
        for part, model in zip(alignment.parts, models, strict=True)
    ]
    parts = [
        (part.name, spec, len(part.columns))
        for part, spec in zip(alignment.parts, specs, strict=True)
    ]
    names = tuple(linked)
    if "all" in linked:
        names = shareable([spec for _, spec, _ in parts])
    return partitioned_spec(parts, names).resolve(patterns)


def choose_part_models(
    alignment: Alignment,
    patterns: PartitionedPatterns,
    models: Sequence[str],
    tree: Tree,
    until: Callable[[], bool],
) -> tuple[tuple[str, ...], list[Note]]:
    """Return the models of all parts, those left open chosen by BIC on a tree, and notes.

    Parameters
    ----------
    alignment : Alignment
    patterns : PartitionedPatterns
    models : sequence of str
        Of each part; "auto" is open.
    tree : Tree
        With branch lengths.
    until : callable
        Called before each model but the first of a part, and during fits.
    """
    chosen, cut = [], []
    for part, group, model in zip(alignment.parts, patterns.groups, models, strict=True):
        if is_auto(model):
            names = candidates_of(alignment, part)
            screened = screen_models(names, _kind(part), group, tree, until)
            model = screened[0].name
            if len(screened) < len(names):
                cut.append(part.name)
        chosen.append(model)
    notes = []
    if cut:
        listed = ", ".join(cut[:5]) + (f" and {len(cut) - 5} more" if cut[5:] else "")
        notes.append(
            Note(
                "few-models-screened",
                f"the budget did not allow all models to be screened for {len(cut)} of "
                f"{len(models)} parts ({listed}); the best so far is used",
            )
        )
    return tuple(chosen), notes


def candidates_of(alignment: Alignment, part: AlignmentPart | None = None) -> tuple[str, ...]:
    """Return the candidates for the model of an alignment, or of one of its parts."""
    if part is None:
        kind, masks = alignment.alphabet.name, alignment.masks
    else:
        kind, masks = _kind(part), alignment.masks[:, part.columns]
    return candidate_names(kind, bool(variable_sites(masks).all()))


def _kind(part: AlignmentPart) -> str:
    return "dna" if part.alphabet.name == "rna" else part.alphabet.name


def _fits(model: str, kind: str) -> bool:
    """Return whether a model is for a type of data."""
    if is_auto(model):
        return True
    try:
        parse_model(model, kind)
    except UserError:
        return False
    return True
