"""Pages of the reference that are made from the packages and from the command lines themselves.

Before the pages are read, this writes to ``docs/reference/generated/``: a page for each module
that users may import, an index for each package, and a page for each program.
"""

from __future__ import annotations

import ast
import re
import shutil
import sys
from importlib import import_module
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from cyclopts.docs.markdown import generate_markdown_docs

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PACKAGES = ("phylogfn", "molgen", "gfncore")
_INNER = {"cli", "kernels"}  # what the command lines and compiled kernels are made of

_ITEM = re.compile(r"([-*]|[0-9]+\.) ")
_MODULE = """{head}{name}
{line}

{back}.. automodule:: {name}
{members}"""

_PACKAGE = """
.. list-table::
   :widths: 30 70

{rows}
"""


def write_modules(root: Path, target: Path) -> None:
    """Write the pages of all modules of the three packages.

    Parameters
    ----------
    root : Path
        The folder that the packages lie in.
    target : Path
        The folder to write to.
    """
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if _INNER & set(parts) or path.stem.endswith("_numba"):
                continue
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            # Two hundred pages in the table of contents of each of them would be slow to write and
            # of no use to read: a page has a link to the package it belongs to.
            inside = name.rpartition(".")[0]
            text = _MODULE.format(
                head=":orphan:\n\n" if inside else "",
                name=name,
                line="=" * len(name),
                back=f"in :doc:`{inside}`\n\n" if inside else "",
                members="" if is_package else "   :members:\n",
            )
            if is_package:
                text += _contents(path.parent, name)
            (target / f"{name}.rst").write_text(text)


def _contents(folder: Path, package: str) -> str:
    """Return the table of what a package holds, each with the first line of its docstring."""
    rows = []
    for path in sorted(folder.iterdir()):
        inner = path / "__init__.py"
        if path.stem in _INNER | {"__init__"} or path.stem.endswith("_numba"):
            continue
        if path.suffix != ".py" and not inner.is_file():
            continue
        source = path if path.suffix == ".py" else inner
        said = (ast.get_docstring(ast.parse(source.read_text())) or "").partition("\n")[0]
        said = said.replace("|", "\\|")
        name = f"{package}.{path.stem}"
        rows.append(f"   * - :doc:`{name}`\n     - {said}")
    return _PACKAGE.format(rows="\n".join(rows)) if rows else ""


def write_command_lines(target: Path) -> None:
    """Write the page of each program, from the application that its ``main`` would run."""
    import molgen.cli.main
    import phylogfn.cli.main

    for module in (phylogfn.cli.main, molgen.cli.main):
        with patch.object(module, "run_app") as run:
            module.main([])
        program, app = run.call_args.args[:2]
        # Cyclopts calls a subcommand in its usage after what this process was started as.
        with patch.object(sys, "argv", [program]):
            text = generate_markdown_docs(app, generate_toc=False)
        (target / f"{program}-command.md").write_text(text)


def _write(app: Sphinx) -> None:
    target = Path(app.srcdir) / "reference" / "generated"
    fresh = Path(app.srcdir) / "reference" / "generated.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    write_modules(Path(app.srcdir).parent, fresh)
    write_command_lines(fresh)
    target.mkdir(exist_ok=True)
    # Only what changed is written, so that a second build does not read all of it again.
    for path in target.iterdir():
        if not (fresh / path.name).exists():
            path.unlink()
    for path in fresh.iterdir():
        old = target / path.name
        if not old.exists() or old.read_bytes() != path.read_bytes():
            path.replace(old)
    shutil.rmtree(fresh)


def _plain_text(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Keep what docstrings mean as plain text from being taken for markup.

    ``|x|`` is no substitution; what a module indents after an empty line is a formula, line by
    line; what it indents within a paragraph belongs to the paragraph.
    """
    text: list[str] = []
    formula, paragraph = False, 0  # lines of the paragraph so far
    for number, line in enumerate(lines):
        indented = line.startswith("  ")
        if what == "module" and indented and not formula:
            if not lines[number - 1].strip():
                text += ["::", ""]
                formula = True
            elif paragraph > 1:
                line = line.strip()
        formula = formula and (indented or not line.strip())
        if not line.strip():
            paragraph = 0
        elif not indented or paragraph > 1:
            paragraph = 1 if _ITEM.match(line) else paragraph + 1
        plain = formula or "``" in line
        text.append(line if plain else line.replace("|", "\\|"))
    lines[:] = text


def _where_defined(app: Sphinx, env: Any, node: Any, contnode: Any) -> Any:
    """Resolve a name that a package takes from one of its modules to where it is defined."""
    package, _, name = node.get("reftarget", "").rpartition(".")
    if node.get("refdomain") != "py" or not package:
        return None
    try:
        defined = getattr(import_module(package), name).__module__
    except (ImportError, AttributeError):
        return None
    if defined == package:
        return None
    domain = env.get_domain("py")
    target = f"{defined}.{name}"
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], target, node, contnode
    )


def _skip_aliases(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool:
    """Leave out names of types such as ``list[str]``, which autodoc takes for classes."""
    return skip or isinstance(obj, GenericAlias)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("builder-inited", _write, priority=400)
    app.connect("autodoc-process-docstring", _plain_text, priority=900)
    app.connect("missing-reference", _where_defined)
    app.connect("autodoc-skip-member", _skip_aliases)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
