"""The conda recipe and environment.yml, read by parsers of conda, against pyproject.toml."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import jinja2
import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "conda-recipe" / "meta.yaml"
CONDA_NAME = {"torch": "pytorch", "torch-geometric": "pytorch_geometric"}

rattler = pytest.importorskip("rattler", reason="py-rattler is not installed")
souschef = pytest.importorskip("souschef.recipe", reason="conda-souschef is not installed")
yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
requirements = pytest.importorskip("packaging.requirements")


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def rendered(text: str) -> dict:
    """The recipe as conda-build renders it: Jinja with its functions, then YAML."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    return yaml.safe_load(
        environment.from_string(text).render(
            PYTHON="python",
            pin_subpackage=lambda name, max_pin: f"{name} pinned to {max_pin}",
        )
    )


@pytest.fixture(scope="module")
def recipe() -> dict:
    return rendered(RECIPE.read_text())


def wanted(lines: list[str]) -> dict[str, str]:
    """Name on conda -> range, of requirements as pip has them."""
    found = [requirements.Requirement(line) for line in lines]
    return {CONDA_NAME.get(one.name, one.name): str(one.specifier) for one in found}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {CONDA_NAME.get(name, name).lower(): version for name, version in found.items()}


def check_ranges(found: list[str], expected: dict[str, str]) -> None:
    """The same packages, and ranges that let the same versions in."""
    specs = {spec.name.normalized: spec for spec in (rattler.MatchSpec(line) for line in found)}
    assert set(specs) == set(expected)
    for name, pip_range in expected.items():
        allowed = requirements.Requirement(f"x{pip_range}").specifier
        lowest = re.search(r">=([0-9.]+)", pip_range)
        assert lowest is not None, name
        below = "0.0.1"
        tried = [below, lowest[1], "99999", *([pins()[name]] if name in pins() else [])]
        conda_range = rattler.VersionSpec(str(specs[name].version))
        verdicts = [conda_range.matches(rattler.Version(version)) for version in tried]
        assert verdicts == [allowed.contains(version) for version in tried], name
        assert verdicts[:2] == [False, True], name
        # just below the lowest version that is allowed
        assert not conda_range.matches(rattler.Version(f"{lowest[1]}dev")), name


def test_packages_to_run_are_those_of_pyproject(recipe: dict, project: dict) -> None:
    python = f"python{project['project']['requires-python']}"
    check_ranges(
        recipe["requirements"]["run"], wanted([*project["project"]["dependencies"], python])
    )


def test_packages_to_build_are_those_of_pyproject(recipe: dict, project: dict) -> None:
    host = [line for line in recipe["requirements"]["host"] if line != "pip"]
    assert len(host) == len(recipe["requirements"]["host"]) - 1
    python = f"python{project['project']['requires-python']}"
    check_ranges(host, wanted([*project["build-system"]["requires"], python]))


def test_packages_to_run_in_the_environment_file(project: dict) -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "bioconda", "nodefaults"]
    lines = [line for line in environment["dependencies"] if isinstance(line, str)]
    expected = wanted(project["project"]["dependencies"])
    names = {line: rattler.MatchSpec(line).name.normalized for line in lines}
    assert len(set(names.values())) == len(lines)
    check_ranges([line for line in lines if names[line] in expected], expected)


def test_packages_of_the_workflows_as_the_installation_page_has_them(project: dict) -> None:
    page = (ROOT / "docs" / "installation.md").read_text()
    (command,) = re.findall(r"(?m)^conda install (.*snakemake.*)$", page)
    lines = [word for word in shlex.split(command) if word.startswith("snakemake")]
    check_ranges(lines, wanted(project["project"]["optional-dependencies"]["workflow"]))


def test_a_range_that_differs_is_found(recipe: dict, project: dict) -> None:
    expected = wanted([*project["project"]["dependencies"], "python>=3.11"])
    looser = [
        line.replace("numpy >=1.26", "numpy >=1.25") for line in recipe["requirements"]["run"]
    ]
    with pytest.raises(AssertionError, match="numpy"):
        check_ranges(looser, expected)
    with pytest.raises(AssertionError):
        check_ranges([*recipe["requirements"]["run"], "six"], expected)


def test_the_rest_of_the_recipe(recipe: dict, project: dict) -> None:
    assert recipe["package"]["name"] == project["project"]["name"]
    assert str(recipe["package"]["version"]) == project["project"]["version"]
    build = recipe["build"]
    assert build["noarch"] == "python"
    assert build["run_exports"] == ["phylogfn pinned to x.x"]
    scripts = {f"{name} = {target}" for name, target in project["project"]["scripts"].items()}
    assert set(build["entry_points"]) == scripts
    assert (ROOT / recipe["about"]["license_file"]).is_file()
    assert recipe["about"]["license"] == project["project"]["license"]
    # nothing but the packages to run may be needed by the recipe's tests
    assert set(recipe["test"]) == {"imports", "commands"}


def test_the_parser_that_grayskull_has_reads_the_recipe() -> None:
    read = souschef.Recipe(load_file=str(RECIPE))
    assert {"package", "source", "build", "requirements", "test", "about"} <= set(read.keys())
    assert read["build"]["noarch"] == "python"
    assert "numpy >=1.26" in [str(line) for line in read["requirements"]["run"]]


def test_what_the_recipe_tests_works(recipe: dict, tmp_path: Path) -> None:
    for name in recipe["test"]["imports"]:
        assert importlib.import_module(name).__name__ == name
    programs = {"phylogfn": "phylogfn.cli.main", "molgen": "molgen.cli.main"}
    for command in recipe["test"]["commands"]:
        program, *arguments = command.split()
        done = subprocess.run(
            [sys.executable, "-m", programs[program], *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 and done.stdout, (command, done.stderr)


def test_the_recipe_of_a_release(tmp_path: Path) -> None:
    path = ROOT / "conda-recipe" / "release.py"
    spec = importlib.util.spec_from_file_location("release", path)
    assert spec is not None and spec.loader is not None
    release = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(release)
    sdist = tmp_path / "phylogfn-0.1.0.tar.gz"
    sdist.write_bytes(b"abc")
    text = release.release_recipe(
        RECIPE.read_text(),
        sdist,
        "https://example.org/phylogfn-0.1.0.tar.gz",
        "https://example.org",
    )
    assert "phylogfn-{{ version }}.tar.gz" in text
    found = rendered(text)
    assert found["source"] == {
        "url": "https://example.org/phylogfn-0.1.0.tar.gz",
        # of "abc", from FIPS 180-2, appendix B.1
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    }
    assert found["about"]["home"] == "https://example.org"
    with pytest.raises(ValueError, match=r"version 0\.1\.0"):
        release.release_recipe(RECIPE.read_text(), tmp_path / "phylogfn-9.tar.gz", "", "")
