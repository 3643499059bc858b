"""Make the pictures of reports: run both programs on example data, photograph what they wrote.

Usage: python docs/pictures/make.py [--budget 3m] [--runs FOLDER]

Needs chromium (or chrome) and writes ``phylogfn-report.png`` and ``molgen-report.png`` beside this
file. With --runs the runs are made there, and those that are there already are photographed again.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "data"
SIZE = (1200, 1500)  # pixels of the window
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")

RUNS = {
    "phylogfn": ["phylogfn", "sample", str(DATA / "primates.fasta")],
    "molgen": ["molgen", "sample", "--reward", "druglike", "--samples", "500"],
}


def photograph(page: Path, picture: Path) -> None:
    """Take a picture of a page in a window of `SIZE`, with few colours and half the pixels."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        sys.exit(f"needs one of {', '.join(_BROWSERS)}")
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder) / "taken.png"
        command = [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
            "--force-device-scale-factor=1",
            f"--window-size={SIZE[0]},{SIZE[1]}",
            "--virtual-time-budget=3000",
            f"--screenshot={taken}",
            page.resolve().as_uri(),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=300)
        image = Image.open(taken).convert("RGB")
    image = image.resize((SIZE[0] * 3 // 4, SIZE[1] * 3 // 4), Image.Resampling.LANCZOS)
    image.quantize(255, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        picture, optimize=True
    )


def main() -> None:
    """Run what has not been run, and photograph both reports."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--budget", default="3m")
    parser.add_argument("--runs", type=Path, help="folder of the runs; a temporary one by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        runs = arguments.runs or Path(temporary)
        for name, command in RUNS.items():
            report = runs / name / "report.html"
            if not report.is_file():
                options = ["-o", str(report.parent), "--budget", arguments.budget, "--seed", "1"]
                program = str(Path(sys.executable).parent / command[0])
                subprocess.run([program, *command[1:], *options], check=True)
            picture = HERE / f"{name}-report.png"
            photograph(report, picture)
            print(picture, f"{picture.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
