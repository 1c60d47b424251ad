"""Loads a chapter's script for its tests, as a notebook beside it would import it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def load(chapter: str, name: str) -> ModuleType:
    """The module `name` of the folder `chapter`, under a name of its own.

    Chapters have scripts of the same names. What the script itself imports from its folder is found
    there, and is forgotten again afterwards, so that the next chapter finds its own.
    """
    folder = ROOT / chapter
    spec = importlib.util.spec_from_file_location(f"{chapter}_{name}", folder / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    known = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
        for found in set(sys.modules) - known:
            if Path(getattr(sys.modules[found], "__file__", None) or "/").parent == folder:
                del sys.modules[found]
    return module
