"""NEXUS files: comments, blocks and commands (Maddison et al., Syst. Biol. 46:590, 1997).

Reading is lenient where programs differ: case does not matter, quotes may be single or double, an
unquoted underscore stays an underscore, and blocks that nobody asked for are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gfncore.errors import UserError
from phylogfn.text.quoting import unquote

__all__ = ["Command", "blank_comments", "blocks", "tokens"]

_TOKEN = re.compile(r"""'(?:[^']|'')*'|"[^"]*"|[,;=(){}/]|[^\s,;=(){}/'"]+|['"]""")


@dataclass(frozen=True)
class Command:
    """One command of a block.

    Parameters
    ----------
    name : str
        The first word, in lower case.
    text : str
        Text after the name, up to the semicolon.
    line, column : int
        Position of the text in the file, from 1.
    """

    name: str
    text: str
    line: int
    column: int


def blank_comments(text: str, source: str, error: type[UserError], keep: str = "") -> str:
    """Return the text with comments replaced by blanks, line ends kept.

    Parameters
    ----------
    text : str
        The content of a file.
    source : str
        Name of the file for messages.
    error : type
        The class of the error for a comment that is never closed.
    keep : str
        Comments that start with ``[`` and one of these characters are kept.
    """
    if "[" not in text:
        return text
    out: list[str] = []
    at = passed = 0  # ends of the text in `out` and of the examined text: quotes in comments
    start_or_quote = re.compile(r"\[|'(?:[^'\n]|'')*'")
    while match := start_or_quote.search(text, passed):
        start, passed = match.span()
        if match[0] != "[":
            continue
        end = passed = _comment_end(text, start)
        if end < 0:
            line = text.count("\n", 0, start) + 1
            raise error(f"{source}: line {line}: a comment '[' is never closed; add ']'")
        comment = text[start:end]
        if not (keep and comment[1:2] in keep):
            comment = re.sub(r"[^\n]", " ", comment)
        out += [text[at:start], comment]
        at = end
    return "".join(out) + text[at:]


def _comment_end(text: str, start: int) -> int:
    depth = 0
    for match in re.compile(r"[\[\]]").finditer(text, start):
        depth += 1 if match[0] == "[" else -1
        if depth == 0:
            return match.end()
    return -1


def tokens(text: str) -> list[str]:
    """Return the tokens of a command, without quotes."""
    return [
        token[1:-1] if token[0] == token[-1] == '"' and len(token) > 1 else unquote(token)
        for token in _TOKEN.findall(text)
    ]


# A block that starts on a new line, regardless of the text above it.
_BEGIN = re.compile(r"^[ \t]*begin[ \t]+[^\s;]+\s*\Z", re.IGNORECASE | re.MULTILINE)


def _commands(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the offset and text of each command, and whether it has its semicolon.

    A semicolon between quotes ends no command.
    """
    start = 0
    for match in re.finditer(r"'(?:[^'\n]|'')*'|\"[^\"\n]*\"|;", text):
        if match[0] == ";":
            yield start, text[start : match.start()], True
            start = match.end()
    if text[start:].strip():
        yield start, text[start:], False


def blocks(
    text: str,
    source: str,
    error: type[UserError],
    keep: str = "",
    unclosed: list[str] | None = None,
) -> Iterator[tuple[str, list[Command]]]:
    """Yield the name (lower case) and the commands of each block of a NEXUS file.

    Text before a ``begin`` at the start of a line is skipped. Commands outside of all blocks come
    last, as a block without a name.

    Parameters
    ----------
    text, source, error, keep
        As in `blank_comments`.
    unclosed : list of str, optional
        If the last block is a trees block without ``end;`` (a chain that is still running), a
        message is appended here and the complete commands of the block are yielded.

    Raises
    ------
    error
        If a comment or a block is not closed.
    """
    if unclosed is not None:
        text = _without_cut_comment(text)
    text = blank_comments(text, source, error, keep)
    head = re.match(r"\s*#nexus", text, re.IGNORECASE)
    offset = head.end() if head else 0
    current: str | None = None
    commands: list[Command] = []
    outside: list[Command] = []
    line, counted, opened = 1, 0, 0
    line_start = 0  # offset of the first character of the line of `begin`
    for start, body, complete in _commands(text[offset:]):
        if current is None and (hidden := _BEGIN.search(body)):
            start, body = start + hidden.start(), body[hidden.start() :]
        match = re.match(r"\s*(\[[^\]]*\]\s*)*([^\s=]*)\s*", body)
        if match is None or not body.strip():
            continue
        name, rest = match[2].lower(), body[match.end() :].rstrip()
        at = offset + start + match.start(2)
        line += text.count("\n", counted, at)
        begin = offset + start + match.end()
        line_start = max(line_start, text.rfind("\n", counted, begin) + 1)
        counted = at
        if name == "begin":
            if current is not None:
                problem = f"line {opened}: the {current} block has no 'end;'"
                raise error(f"{source}: {problem} before the 'begin' of line {line}; add it")
            current, commands, opened = " ".join(rest.lower().split()), [], line
        elif name in ("end", "endblock"):
            if current is not None:
                yield current, commands
            current = None
        elif current is not None and complete:
            column = begin - line_start + 1
            commands.append(Command(name, rest, line + text.count("\n", at, begin), column))
        elif current is None:
            outside.append(Command(name, rest, line, begin - line_start + 1))
        elif current == "trees" and unclosed is not None:
            unclosed.append(f"line {line}: the last {name} is cut short and is left out")
    if outside:
        yield "", outside
    if current is None:
        return
    problem = f"line {opened}: the {current} block has no 'end;'"
    if unclosed is None or current != "trees":
        raise error(f"{source}: {problem}; the file may be cut short")
    unclosed.append(
        f"{problem}; the file may be cut short, or still being written: its trees so far are read"
    )
    yield current, commands


def _without_cut_comment(text: str) -> str:
    """Return the text without a comment that starts on its last line and is never closed."""
    text = text.rstrip()
    if text.endswith(";"):
        return text
    start = text.find("[", text.rfind("\n") + 1)
    while start >= 0:
        end = _comment_end(text, start)
        if end < 0:
            return text[:start]
        start = text.find("[", end)
    return text
