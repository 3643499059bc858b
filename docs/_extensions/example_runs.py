"""Sphinx directives ``run``, ``file`` and ``uses``: examples that are run by the build.

What they mean stands in `examples`. All examples are run before the pages are read; the directives
put the commands and what they printed into the pages. An example that fails is a warning, which
``-W`` makes an error.
"""

from __future__ import annotations

import shutil
import time
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from examples import (
    OPTIONS,
    Block,
    Outcome,
    blocks_of,
    executed,
    failure,
    run_pages,
    runs,
    sizes,
    source_digest,
)
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

_LOGGER = logging.getLogger(__name__)
_FOLDER = "_examples"
_FOR_THIS_BUILD = "Run for this build with"


class Run(SphinxDirective):
    """Commands, and what they printed."""

    has_content = True
    option_spec = dict.fromkeys(sorted(OPTIONS), directives.unchanged)

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the block."""
        pages: dict[str, list[Block]] = self.env.app.example_blocks  # type: ignore[attr-defined]
        outcomes: dict[str, list[Outcome]] = self.env.app.example_outcomes  # type: ignore[attr-defined]
        number = int(self.env.temp_data.get("example_number") or 0)
        self.env.temp_data["example_number"] = number + 1
        page = self.env.docname
        block, outcome = runs(pages[page])[number], outcomes[page][number]
        problem = failure(block, outcome)
        if problem:
            _LOGGER.warning("an example failed: %s", problem, location=self.get_location())
        text = _prompted(block.body)
        if output := _shown(outcome, block.options):
            text += "\n" + output
        literal = nodes.literal_block(text, text, language="console", classes=["example"])
        return [literal, *_remarks(block, outcome), *_files(page, block, outcome)]


class File(SphinxDirective):
    """A file that examples read."""

    has_content = True
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the file with its name above it."""
        name = self.arguments[0]
        language = {".py": "python", ".toml": "toml", ".R": "r", ".yaml": "yaml"}.get(
            PurePosixPath(name).suffix, "text"
        )
        text = "\n".join(self.content)
        container = nodes.container("", literal_block=True, classes=["literal-block-wrapper"])
        container += nodes.caption("", "", nodes.literal(name, name))
        container += nodes.literal_block(text, text, language=language)
        used = executed(text, self.config.examples_budget)
        return [container, *([] if used == text else [_remark(_FOR_THIS_BUILD, sizes(used))])]


class Uses(SphinxDirective):
    """Nothing to see: the page goes on with the files of another."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return nothing."""
        return []


def _prompted(commands: str) -> str:
    """Put a prompt before each command and a sign of continuation before the rest of it."""
    lines, inside = [], False
    for line in commands.splitlines():
        lines.append(("> " if inside else "$ ") + line)
        inside = line.endswith("\\")
    return "\n".join(lines)


def _shown(outcome: Outcome, options: dict[str, str]) -> str:
    """Return what of the output a page shows."""
    which = options.get("show", "stdout")
    text = {
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
        "both": outcome.stderr + outcome.stdout,
        "none": "",
    }[which]
    lines = text.rstrip("\n").splitlines()
    if "head" in options and len(lines) > int(options["head"]):
        lines = [*lines[: int(options["head"])], "..."]
    if "tail" in options and len(lines) > int(options["tail"]):
        lines = ["...", *lines[-int(options["tail"]) :]]
    if "cut" in options:
        width = int(options["cut"])
        lines = [line if len(line) <= width else line[: width - 1] + "…" for line in lines]
    return "\n".join(lines)


def _remarks(block: Block, outcome: Outcome) -> list[nodes.Node]:
    """Say what differs from the commands shown."""
    if outcome.missing:
        return [_remark("Not run when this page was built, for lack of", [outcome.missing])]
    if outcome.command != block.body:
        return [_remark(_FOR_THIS_BUILD, sizes(outcome.command))]
    return []


def _remark(words: str, names: list[str]) -> nodes.Node:
    text = " ".join(names)
    paragraph = nodes.paragraph("", "", classes=["example-remark"])
    paragraph += [nodes.Text(f"{words} "), nodes.literal(text, text), nodes.Text(".")]
    return paragraph


def _files(page: str, block: Block, outcome: Outcome) -> list[nodes.Node]:
    """Return the pictures that the example made, and links to its files."""
    up = "../" * page.count("/")
    pieces = []
    for name in outcome.kept:
        address = f"{up}{_FOLDER}/{page}/{name}"
        if name in block.options.get("picture", "").split():
            alt = escape(block.options.get("alt", name))
            pieces.append(f'<p class="example-picture"><img src="{address}" alt="{alt}"></p>')
        else:
            pieces.append(f'<p class="example-file">Open <a href="{address}">{name}</a></p>')
    return [nodes.raw("", piece, format="html") for piece in pieces]


def _run_all(app: Sphinx) -> None:
    """Run the examples of all pages before any is read."""
    source, began = Path(app.srcdir), time.monotonic()
    pages = {}
    for name in sorted(app.project.discover(app.config.exclude_patterns)):
        path = source / f"{name}.md"
        if path.is_file() and (blocks := blocks_of(path.read_text())):
            pages[name] = blocks
    scratch = Path(app.config.examples_folder)
    outcomes, keys = run_pages(
        pages,
        scratch,
        source_digest(source.parent),
        app.config.examples_budget,
    )
    app.example_blocks = pages  # type: ignore[attr-defined]
    app.example_outcomes = outcomes  # type: ignore[attr-defined]
    app.example_keys = keys  # type: ignore[attr-defined]
    number = sum(map(len, outcomes.values()))
    _LOGGER.info("%d examples of %d pages, %.1f s", number, len(pages), time.monotonic() - began)
    slowest = sorted(
        (
            (outcome.seconds, page, outcome.command.splitlines()[-1])
            for page, done in outcomes.items()
            for outcome in done
        ),
        reverse=True,
    )
    for seconds, page, command in slowest[:10]:
        _LOGGER.info("%6.1f s  %s: %s", seconds, page, command)


def _shorten_notebook(app: Sphinx, docname: str, source: list[str]) -> None:
    """Make the budgets of a notebook small before it is executed."""
    if app.env.doc2path(docname, base=False).suffix == ".ipynb":
        source[0] = executed(source[0], app.config.examples_budget)


def _outdated(app: Sphinx, env: Any, *_: set[str]) -> list[str]:
    """Return the pages whose examples were run anew since they were read."""
    before = getattr(env, "example_keys", {})
    env.example_keys = app.example_keys  # type: ignore[attr-defined]
    return [page for page, key in env.example_keys.items() if before.get(page) != key]


def _copy_files(app: Sphinx, error: Exception | None) -> None:
    """Put the files that pages link to beside the pages."""
    if error or app.builder.format != "html":
        return
    target = Path(app.outdir) / _FOLDER
    shutil.rmtree(target, ignore_errors=True)
    for page, outcomes in app.example_outcomes.items():  # type: ignore[attr-defined]
        for name in {name for outcome in outcomes for name in outcome.kept}:
            (target / page / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(app.config.examples_folder) / page / name, target / page / name)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_config_value("examples_folder", "", "")
    app.add_config_value("examples_budget", None, "env", types=(str, type(None)))
    app.add_directive("run", Run)
    app.add_directive("file", File)
    app.add_directive("uses", Uses)
    app.connect("builder-inited", _run_all)
    app.connect("source-read", _shorten_notebook)
    app.connect("env-get-outdated", _outdated)
    app.connect("build-finished", _copy_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
