"""How Sphinx builds the documentation; `make docs` and `make docs-quick` call it."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_extensions"))

from phylogfn import __version__  # noqa: E402

project = "phylogfn and molgen"
author = "The phylogfn developers"
copyright = author
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinx_copybutton",
    "generated_pages",
    "example_runs",
]
exclude_patterns = ["_static", "_extensions", "pictures"]
nitpicky = True

# Pages
myst_enable_extensions = ["deflist", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3

# Notebooks are executed at every build, in a temporary directory.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_show_tb = True
nb_merge_streams = True
nb_output_stderr = "remove"

# Examples: budgets of the small form come with -D examples_budget=12s
examples_folder = str(HERE.parent / "build" / "docs" / "examples")

# Reference: docstrings say types in words, with shapes; annotations would only repeat them.
autosummary_generate = False  # numpydoc loads it
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_mock_imports = ["gemmi", "meeko", "vina"]  # of the extra docking, which is not needed here
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
nitpick_ignore_regex = [
    # what the annotated types of settings are made of
    ("py:class", r"pydantic\..*"),
    ("py:class", r"gfncore\.program\.(configuration|options)\._.*"),
    ("py:class", r"locals>\.<lambda"),
    ("py:class", r"pathlib\.Path"),
]

# Looks
html_theme = "furo"
html_title = "phylogfn and molgen"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sphinx = False
html_copy_source = False
highlight_language = "none"  # of blocks that do not say
pygments_style = "default"
pygments_dark_style = "github-dark"
copybutton_prompt_text = r"\$ |> "
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"
copybutton_only_copy_prompt_lines = True
