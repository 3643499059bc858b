"""Check that every link inside built pages leads somewhere: files, and places within pages.

Usage: python docs/check_links.py build/docs/html
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page and the places that links may lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what links and what can be linked to."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name in ("id", "name") and value:
                self.places.add(value)


def broken_links(folder: Path) -> list[str]:
    """Return the broken links of the pages in a folder, one line each."""
    pages = {path: Page(path.read_text()) for path in sorted(folder.rglob("*.html"))}
    broken = []
    for path, page in pages.items():
        if "_examples" in path.parts:  # reports: they are one file each, and linked to only
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                broken.append(f"{path.relative_to(folder)}: {link}: no such file")
            elif parts.fragment and target in pages:
                if unquote(parts.fragment) not in pages[target].places:
                    broken.append(f"{path.relative_to(folder)}: {link}: no such place")
    return broken


def main() -> int:
    """Print the broken links; the exit code is 1 if there are any."""
    folder = Path(sys.argv[1]).resolve()
    if not (folder / "index.html").is_file():
        print(f"{folder}: has no index.html", file=sys.stderr)
        return 1
    broken = broken_links(folder)
    print("\n".join(broken) or "all links within the pages lead somewhere")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
