"""How Sphinx builds these pages. Every warning is an error: `sphinx-build -W -b html docs docs/_build/html`."""

from __future__ import annotations

import importlib.metadata

project = "pkpd"
author = "The pkpd-timecourse authors"
project_copyright = "2026, the pkpd-timecourse authors"
version = release = importlib.metadata.version("pkpd-timecourse")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autosummary_generate = False
autodoc_typehints = "none"  # numpydoc already says what each argument is, with its unit
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"pkpd {version}"
html_show_sphinx = False
html_copy_source = False
