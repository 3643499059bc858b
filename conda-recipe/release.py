"""Writes the recipe for bioconda: that of this folder, with the sdist of a release as its source.

    python conda-recipe/release.py dist/phylogfn-0.1.0.tar.gz --url URL --home URL > meta.yaml

URL is where the sdist was uploaded to, and the page of the project.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def release_recipe(recipe: str, sdist: Path, url: str, home: str) -> str:
    """Return the recipe with the source and the page of the project filled in.

    Parameters
    ----------
    recipe : str
        The text of meta.yaml.
    sdist : Path
        Of the version that the recipe names.
    url : str
        Where it was uploaded to. The version in it is written as a variable, which bioconda's
        robot changes when there is a new one.
    home : str
        The page of the project.

    Raises
    ------
    ValueError
        The sdist is of another version.
    """
    found = re.search(r'set version = "([^"]+)"', recipe)
    version = found[1] if found else ""
    if not version or not sdist.name.endswith(f"-{version}.tar.gz"):
        raise ValueError(f"{sdist}: the recipe is of version {version or 'unknown'}")
    digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    source = f"  url: {url.replace(version, '{{ version }}')}\n  sha256: {digest}"
    body = recipe[recipe.index("{% set name") :]
    return body.replace("  path: ..", source).replace("about:\n", f"about:\n  home: {home}\n")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sdist", type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--home", required=True)
    given = parser.parse_args()
    recipe = (HERE / "meta.yaml").read_text(encoding="utf-8")
    try:
        print(release_recipe(recipe, given.sdist, given.url, given.home), end="")
    except (OSError, ValueError) as problem:
        print(f"release.py: error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
