"""Partition files: in the style of RAxML, or NEXUS with character sets and a partition of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from phylogfn.alignments.nexus.assumptions import BLOCKS, SET_HEAD
from phylogfn.alignments.nexus.lists import MemberLists
from phylogfn.alignments.nexus.partitions import PartitionReader
from phylogfn.alignments.partitions.raxml import kind_of, parse_raxml
from phylogfn.alignments.partitions.subsets import Partition, Subset
from phylogfn.errors import AlignmentError, quoted_list, shown
from phylogfn.text.nexus import blocks, tokens
from phylogfn.text.text_files import read_text, source_name

__all__ = ["parse_partition_text", "read_partition_file"]

_TYPED = re.compile(r"\s*([A-Za-z]+)\s*,")  # of IQ-TREE: charset part1 = DNA, 1-100


def read_partition_file(path: str, n_sites: int, labels: Sequence[str] = ()) -> Partition:
    """Read a partition file.

    Parameters
    ----------
    path : str
        In the style of RAxML, or NEXUS; see `phylogfn.alignments.nexus.partitions`. A NEXUS file
        that has character sets and no partition divides the columns into these sets.
    n_sites : int
        Number of columns of the alignment.
    labels : sequence of str
        Names of the columns, possibly not of all.

    Raises
    ------
    AlignmentError
        The file cannot be read, or its partition cannot be used.
    """
    return parse_partition_text(read_text(path, AlignmentError), source_name(path), n_sites, labels)


def parse_partition_text(
    text: str, source: str, n_sites: int, labels: Sequence[str] = ()
) -> Partition:
    """Return the partition of a text; see `read_partition_file`."""
    if not re.match(r"\s*(\[[^\]]*\]\s*)*(#nexus|begin\s)", text, re.IGNORECASE):
        return parse_raxml(text, source, n_sites)
    characters = MemberLists("character", n_sites, labels)
    reader = PartitionReader(characters)
    commands = [
        command
        for block, inside in blocks(text, source, AlignmentError)
        if block in BLOCKS
        for command in inside
    ]
    types: dict[str, tuple[str | None, str]] = {}
    for command in commands:
        head = SET_HEAD.match(command.text) if command.name == "charset" else None
        if head is None:
            continue
        name, listed = tokens(head["name"])[0], command.text[head.end() :]
        place = f"{source}: line {command.line}: charset {name}"
        typed = _TYPED.match(listed)
        types[name] = kind_of(typed[1], place) if typed else (None, "")
        listed = listed[typed.end() :] if typed else listed
        vector = "vector" in (head["format"] or "").lower()
        characters.define(name, place, listed.replace(",", " "), vector)
    for command in commands:
        if command.name in ("charpartition", "partition", "set"):
            reader.read(command.name, command, f"{source}: line {command.line}: {command.name}")
    partition = _of_nexus(reader, characters, types, source)
    return Partition(
        partition.name,
        partition.place,
        tuple(
            subset
            if subset.data_type is not None
            else Subset(subset.name, subset.columns, *types.get(subset.name, (None, "")))
            for subset in partition.subsets
        ),
    )


def _of_nexus(
    reader: PartitionReader,
    characters: MemberLists,
    types: dict[str, tuple[str | None, str]],
    source: str,
) -> Partition:
    found = reader.found
    if found.chosen is not None:
        partition = found.find(found.chosen)
        if partition is None:
            raise AlignmentError(
                f"{source}: set partition={shown(found.chosen)}: there is no such partition; "
                "correct the name"
            )
        return partition
    if len(found.names) > 1:
        raise AlignmentError(
            f"{source}: defines {len(found.names)} partitions ({quoted_list(list(found.names))}); "
            "choose one by 'set partition=NAME;' in a mrbayes block, or keep one"
        )
    if found.names:
        partition = found.find(found.names[0])
        assert partition is not None
        return partition
    if not types:
        raise AlignmentError(f"{source}: has no charset, partition or charpartition; add one")
    subsets = tuple(
        Subset(name, tuple(characters.members(f"{source}: charset {name}", f"'{name}'")))
        for name in types
    )
    return Partition(source, source, subsets)
