"""CLUSTAL and Stockholm alignments, whose sequences come in blocks."""

from __future__ import annotations

from gfncore.program.messages import Note
from phylogfn.alignments.raw import RawAlignment
from phylogfn.errors import AlignmentError, shown

__all__ = ["CLUSTAL_HEADS", "parse_clustal", "parse_stockholm"]

CLUSTAL_HEADS = ("CLUSTAL", "MUSCLE", "PROBCONS", "MSAPROBS", "KALIGN", "BIOPYTHON", "T-COFFEE")


class _Blocks:
    """Sequences that come in blocks; a name that comes twice in one block is a name twice."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.parts: dict[str, list[str]] = {}
        self.in_block: set[str] = set()

    def end_block(self) -> None:
        self.in_block.clear()

    def add(self, name: str, part: str) -> None:
        if name in self.in_block:
            raise AlignmentError(
                f"{self.source}: taxon {name!r} occurs twice; give each its own name"
            )
        self.in_block.add(name)
        self.parts.setdefault(name, []).append(part)

    def alignment(self, notes: tuple[Note, ...] = ()) -> RawAlignment:
        sequences = ["".join(parts) for parts in self.parts.values()]
        return RawAlignment(list(self.parts), sequences, notes=notes)


def parse_clustal(text: str, source: str) -> RawAlignment:
    """Read CLUSTAL text and return its names and sequences.

    Raises AlignmentError for a line that is not a name and a sequence.
    """
    blocks = _Blocks(source)
    title = text.lstrip().upper().startswith(CLUSTAL_HEADS)
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line[0].isspace():  # a blank line, or the line of * : .
            blocks.end_block()
            continue
        if title:
            title = False
            continue
        words = line.split()
        # A number behind letters is the count of residues so far.
        if len(words) > 2 and words[-1].isdigit() and not "".join(words[1:]).isdigit():
            words.pop()
        if len(words) < 2:
            raise AlignmentError(
                f"{source}: line {number}: a CLUSTAL line is a name and its sequence, "
                f"found {shown(line)}"
            )
        blocks.add(words[0], "".join(words[1:]))
    return blocks.alignment()


def parse_stockholm(text: str, source: str) -> RawAlignment:
    """Read the first alignment of Stockholm text and return its names and sequences.

    Raises AlignmentError for a line that does not fit, and where the closing ``//`` is missing.
    """
    blocks = _Blocks(source)
    lines = text.lstrip().split("\n")
    for number, line in enumerate(lines, 1):
        if line.strip() == "//":
            rest = "\n".join(lines[number:]).strip()
            notes = (
                (Note("first-alignment-only", "only the first alignment of the file is read"),)
                if rest
                else ()
            )
            return blocks.alignment(notes)
        if not line.strip():
            blocks.end_block()
        elif not line.startswith("#"):
            words = line.split()
            if len(words) < 2:
                raise AlignmentError(
                    f"{source}: line {number}: a Stockholm line is a name and its sequence, "
                    f"found {shown(line)}"
                )
            blocks.add(words[0], "".join(words[1:]).replace(".", "-").replace("~", "-"))
    raise AlignmentError(f"{source}: the closing '//' is missing; the file may be cut short")
