"""Server that runs a user's Python function as an external program, so that it can be stopped.

Its arguments are ``module:function`` and, optionally, a directory. It uses the protocol of
`molgen.scoring.components.external`, which starts it (`server_command`). Output of the function
goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from molgen.scoring.components.functions import find_function
from molgen.scoring.parallel.batch import numbers

__all__ = ["main", "serve"]


def serve(name: str, directory: Path | None = None) -> None:
    """Answer each line of stdin with the function's scores until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the function's own prints must not look like answers
    function = find_function(name, directory)
    answers.write('{"ready": true}\n')
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"id": request["id"]}
        try:
            answer["scores"] = numbers(function(request["smiles"]), len(request["smiles"]))
        except (Exception, SystemExit) as problem:  # the user's code
            answer["error"] = f"{type(problem).__name__}: {problem}"
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main() -> None:
    """Serve the function of the command line."""
    serve(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)
