"""How Sphinx makes the site: from the root of the tree, so that links are GitHub's."""

import sys
from pathlib import Path

import wfsim

sys.path.insert(0, str(Path(__file__).parent))

# Modules that the door opens to under a name of its own: Sphinx imports them by that.
for _name in ("charts", "design", "export", "tables"):
    sys.modules[f"wfsim.{_name}"] = getattr(wfsim, _name)

project = "wfsim"
author = "the authors of wfsim"
copyright = "the authors of wfsim"

root_doc = "docs/index"
include_patterns = ["docs/**.md", "notebooks/*.ipynb", "*.md"]
exclude_patterns = ["README.md", ".venv*", "out", "dist", ".*"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "directives",
]

# Notebooks are shown as they were saved; `make notebooks-test` runs them.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_merge_streams = True
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
myst_enable_extensions = ["colon_fence", "deflist"]

default_role = "py:obj"
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = "wfsim"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "to_home.html"}
html_copy_source = False
templates_path = ["_templates"]
html_show_sphinx = False
