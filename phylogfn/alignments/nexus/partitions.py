"""Partitions in NEXUS files: CHARPARTITION, and PARTITION of MrBayes.

``charpartition NAME = SUBSET: characters, SUBSET: characters`` (Maddison et al., Syst. Biol.
46:590, 1997); for IQ-TREE, what stands before the colon may be a model, and the subset then has
the name of the character set behind it. ``partition NAME = 3: set, set, set`` of MrBayes is in use
after ``set partition = NAME``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from phylogfn.alignments.nexus.assumptions import SET_HEAD
from phylogfn.alignments.nexus.lists import MemberLists, folded, split_words
from phylogfn.alignments.partitions.raxml import kind_of, split_outside_braces
from phylogfn.alignments.partitions.subsets import Partition, Subset
from phylogfn.errors import AlignmentError, shown
from phylogfn.text.nexus import Command, tokens

__all__ = ["FilePartitions", "PartitionReader"]

_COUNTED = re.compile(r"\s*([0-9]{1,9})\s*:")
_CHOICE = re.compile(r"\bpartition\s*=\s*('(?:[^']|'')*'|\"[^\"]*\"|[^\s,;]+)", re.IGNORECASE)
_LIKE_A_RANGE = re.compile(r"[0-9.]+(-[0-9.]+)?(\\[0-9]+)?$")


@dataclass(frozen=True)
class FilePartitions:
    """The partitions that a file defines.

    Parameters
    ----------
    partitions : tuple of (str, Partition or AlignmentError)
        Names and partitions in the order of the file; an error is raised if the partition is used.
    chosen : str or None
        Name of the one that the file puts to use, if it says so.
    """

    partitions: tuple[tuple[str, Partition | AlignmentError], ...] = ()
    chosen: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all partitions."""
        return tuple(name for name, _ in self.partitions)

    def find(self, name: str) -> Partition | None:
        """Return a partition by its name, regardless of case; None if there is none.

        Raises
        ------
        AlignmentError
            The partition cannot be used.
        """
        for other, partition in self.partitions:
            if folded(other) == folded(name):
                if isinstance(partition, AlignmentError):
                    raise partition
                return partition
        return None


class PartitionReader:
    """Collects the partitions that the commands of a file define.

    Parameters
    ----------
    characters : MemberLists
        The characters of the matrix, with all character sets of the file.
    """

    def __init__(self, characters: MemberLists):
        self.characters = characters
        self._partitions: dict[str, tuple[str, Partition | AlignmentError]] = {}
        self._chosen: str | None = None

    @property
    def found(self) -> FilePartitions:
        """What was read so far."""
        return FilePartitions(tuple(self._partitions.values()), self._chosen)

    def read(self, name: str, command: Command, place: str) -> bool:
        """Read ``charpartition``, ``partition`` or ``set``; return whether it was used."""
        if name == "set":
            choice = _CHOICE.search(command.text)
            if choice is None:
                return False
            self._chosen = tokens(choice[1])[0]
            return True
        head = SET_HEAD.match(command.text)
        if head is None:
            return False
        own = tokens(head["name"])[0]
        partition: Partition | AlignmentError
        try:
            if "vector" in (head["format"] or "").lower():
                raise AlignmentError(
                    f"{place} {own}: partitions in vector format are not supported; list the "
                    "characters of each part"
                )
            subsets = self._subsets(name, command.text[head.end() :], f"{place} {own}")
            partition = Partition(own, f"{place} {own}", subsets)
        except AlignmentError as problem:
            partition = problem
        self._partitions[folded(own)] = (own, partition)
        if head["star"]:
            self._chosen = own
        return True

    def _subsets(self, name: str, text: str, place: str) -> tuple[Subset, ...]:
        if name == "charpartition":
            parts = [self._named(part, place) for part in split_outside_braces(text, ",")]
            return tuple(parts)
        counted = _COUNTED.match(text)
        if counted is None:
            raise AlignmentError(
                f"{place}: {shown(text)} is not of the form 'NUMBER: characters, characters'"
            )
        lists = split_outside_braces(text[counted.end() :], ",")
        if len(lists) != int(counted[1]):
            raise AlignmentError(
                f"{place}: announces {counted[1]} parts, but lists {len(lists)}; correct it"
            )
        return tuple(
            Subset(
                _set_name(part) or f"part{number}",
                tuple(self.characters.members(place, part)),
            )
            for number, part in enumerate(lists, 1)
        )

    def _named(self, text: str, place: str) -> Subset:
        left, *right = split_outside_braces(text, ":")
        if len(right) != 1:
            raise AlignmentError(f"{place}: {shown(text)} is not of the form 'part: characters'")
        words = split_words(left)
        own = words[0][0] if len(words) == 1 else left.strip()
        columns = tuple(self.characters.members(place, right[0]))
        listed = _set_name(right[0])
        data_type, model = None, ""
        if listed is not None:
            try:
                data_type, model = kind_of(own, place)
            except AlignmentError:
                data_type, model = None, ""
        return Subset(listed if model and listed else own, columns, data_type, model)


def _set_name(text: str) -> str | None:
    """Return the name if a list consists of one name, else None."""
    words = split_words(text)
    if len(words) == 1 and (words[0][1] or not _LIKE_A_RANGE.match(words[0][0])):
        return words[0][0]
    return None
