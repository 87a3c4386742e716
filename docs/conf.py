"""Settings of Sphinx."""

project = "cachannel"
author = "the cachannel developers"
copyright = "2026, the cachannel developers"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = "cachannel"
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
myst_heading_anchors = 3  # links to headings of other pages
napoleon_google_docstring = True
napoleon_custom_sections = ["Source"]
exclude_patterns = ["_build"]
