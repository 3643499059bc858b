"""The examples of the documentation: blocks of a page, how they run, which are run."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
# Commands that no build of the pages can run: installation, and clusters.
NOT_RUN = ("pip ", "python3 -m venv", "env/bin/", "conda ", "docker ", "apptainer ", "make ")
NOT_RUN += ("snakemake ", "sbatch ", "torchrun ", "tensorboard ", "git ", "mk_prepare_receptor.py ")
NOT_RUN += ("cd ", "nvidia-smi", "#", "rattler-build ", "mb ")


def load(path: Path):
    """A module by its file: docs/ is no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


examples = load(DOCS / "_extensions" / "examples.py")
check_links = load(DOCS / "check_links.py")

PAGE = """# A page

```{file} numbers.txt
3
1
```

```{run}
:head: 1
sort numbers.txt
```

```{run}
:status: 3
cat numbers.txt >&2
exit 3
```
"""


def pages() -> list[Path]:
    found = [path for path in sorted(DOCS.rglob("*.md")) if "generated" not in path.parts]
    assert len(found) > 20
    return found


def test_blocks_of_a_page() -> None:
    file, sort, fails = examples.blocks_of(PAGE)
    assert (file.kind, file.argument, file.body, file.line) == ("file", "numbers.txt", "3\n1", 3)
    assert (sort.options, sort.body) == ({"head": "1"}, "sort numbers.txt")
    assert (fails.options, fails.line) == ({"status": "3"}, 13)
    with pytest.raises(ValueError, match="line 1: no option 'heads'"):
        examples.blocks_of("```{run}\n:heads: 1\nls\n```\n")


def test_examples_run_in_one_folder_and_are_remembered(tmp_path: Path) -> None:
    blocks = {"page": examples.blocks_of(PAGE)}
    outcomes, _ = examples.run_pages(blocks, tmp_path, "sources")
    sort, fails = outcomes["page"]
    assert (sort.stdout, sort.status) == ("1\n3\n", 0)
    assert (fails.stderr, fails.status) == ("3\n1\n", 3)
    assert examples.failure(examples.runs(blocks["page"])[1], fails) is None
    assert examples.failure(examples.runs(blocks["page"])[0], fails).startswith(
        "exit code 3, not 0"
    )

    marker = tmp_path / "page" / "marker"
    marker.touch()
    assert examples.run_pages(blocks, tmp_path, "sources")[0] == outcomes
    assert marker.exists()  # nothing was run again
    examples.run_pages(blocks, tmp_path, "other sources")
    assert not marker.exists()


def test_a_page_goes_on_with_the_files_of_another(tmp_path: Path) -> None:
    second = "```{uses} first\n```\n\n```{run}\nsort numbers.txt | tail -n 1\n```\n"
    blocks = {"another": examples.blocks_of(second), "first": examples.blocks_of(PAGE)}
    outcomes, keys = examples.run_pages(blocks, tmp_path, "sources")
    assert outcomes["another"][0].stdout == "3\n"
    changed = {**blocks, "first": blocks["first"][:2]}
    assert examples.run_pages(changed, tmp_path, "sources")[1]["another"] != keys["another"]
    with pytest.raises(ValueError, match="uses nowhere"):
        examples.run_pages({"page": examples.blocks_of("```{uses} nowhere\n```\n")}, tmp_path, "")


def test_what_failed_is_not_remembered(tmp_path: Path) -> None:
    blocks = {"page": examples.blocks_of("```{run}\ndate +%N >> times; false\n```\n")}
    for _ in range(2):
        (outcome,) = examples.run_pages(blocks, tmp_path, "")[0]["page"]
        assert outcome.status == 1
    assert not (tmp_path / "page.json").exists()


@pytest.mark.parametrize(
    ("command", "run"),
    [
        ("phylogfn sample x -o y --budget 3m", "phylogfn sample x -o y --budget 2s"),
        ("molgen sample --budget 1s -o y", "molgen sample --budget 1s -o y"),
        ("molgen sample --samples 500 --budget 1m", "molgen sample --samples 100 --budget 2s"),
        ("molgen rewards", "molgen rewards"),
        ("phylogfn sample x -o y\nls y", "phylogfn sample x -o y --budget 2s\nls y"),
        ("phylogfn sample -o y --resume", "phylogfn sample -o y --resume"),
    ],
)
def test_budgets_are_made_small(command: str, run: str) -> None:
    assert examples.executed(command, "2s") == run
    assert examples.executed(command, None) == command
    assert examples.sizes(run) == re.findall(r"--\w+ \d+s?\b", run)


def test_budgets_of_scripts_and_notebooks_are_made_small() -> None:
    script = 'phylogfn.sample("a.fasta", budget="1m", samples=200, seed=1)'
    small = 'phylogfn.sample("a.fasta", budget="5s", samples=100, seed=1)'
    for mask in (str, lambda text: text.replace('"', '\\"')):
        assert examples.executed(mask(script), "5s") == mask(small)
        assert examples.executed(mask(script), None) == mask(script)
    assert examples.sizes(small) == ['budget="5s"', "samples=100"]


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.relative_to(DOCS).as_posix())
def test_commands_of_pages_are_run(page: Path) -> None:
    text = page.read_text()
    examples.blocks_of(text)
    for block in re.findall(r"^```(?:sh|bash|console|shell)\n(.*?)^```", text, re.M | re.S):
        for line in filter(None, block.splitlines()):
            assert line.startswith(NOT_RUN), f"make it an example that is run: {line}"
    fences = re.findall(r"^```\n((?:phylogfn|molgen) .*)$", text, re.M)
    assert not fences, "make it an example that is run"


def test_links_of_the_readme_to_pages() -> None:
    root = DOCS.parent
    links = re.findall(r"\]\((docs/[^)#]+)", (root / "README.md").read_text())
    assert links
    assert [link for link in links if not (root / link).exists()] == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<p id="here"><a href="#here">a</a> <a href="#gone">b</a> <a href="other.html#x">c</a>'
        ' <a href="lost.html">d</a> <a href="https://example.org/lost.html">e</a></p>'
    )
    (tmp_path / "other.html").write_text('<p id="x"><img src="none.png"></p>')
    assert [line.partition(": ")[2] for line in check_links.broken_links(tmp_path)] == [
        "#gone: no such place",
        "lost.html: no such file",
        "none.png: no such file",
    ]
