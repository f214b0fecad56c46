"""List the CAM classes of the installed pytorch-grad-cam from its source, without importing it."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = "pytorch_grad_cam"
_BASE = "BaseCAM"


def shipped_cams() -> list[str]:
    """Return the names of the exported classes that make a map from a network and a layer.

    Such a class is built on `BaseCAM`, directly or not, or it is made from ``model`` and ``target_layers`` and
    called with an ``input_tensor`` and ``targets``. Empty where the package is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return []
    root = Path(spec.origin)
    exported: list[str] = []
    classes: dict[str, ast.ClassDef] = {}
    for statement in _parsed(root).body:
        if not isinstance(statement, ast.ImportFrom) or statement.module is None:
            continue
        exported += [alias.asname or alias.name for alias in statement.names]
        source = root.parent.joinpath(*statement.module.split(".")[1:]).with_suffix(".py")
        if source.is_file():
            classes |= {c.name: c for c in _parsed(source).body if isinstance(c, ast.ClassDef)}
    return [name for name in exported if name in classes and _is_cam(name, classes)]


def _parsed(source: Path) -> ast.Module:
    return ast.parse(source.read_text(encoding="utf-8"))


def _is_cam(name: str, classes: dict[str, ast.ClassDef]) -> bool:
    if name == _BASE or name not in classes:
        return name == _BASE
    bases = [base.id for base in classes[name].bases if isinstance(base, ast.Name)]
    if any(_is_cam(base, classes) for base in bases):
        return True
    takes = {
        method.name: {argument.arg for argument in method.args.args}
        for method in classes[name].body
        if isinstance(method, ast.FunctionDef)
    }
    made = {"model", "target_layers"} <= takes.get("__init__", set())
    return made and any(
        {"input_tensor", "targets"} <= takes.get(call, set()) for call in ("forward", "__call__")
    )
