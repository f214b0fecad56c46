"""Prepare a plan for running: resolve each model's layers, usable methods and coinciding methods into a manifest."""

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from camlab.cams import coinciding, unserved
from camlab.cams.scaling import SCALE_VERSION
from camlab.common.environment import versions_of
from camlab.common.errors import BadSetting, BadStudy
from camlab.engine.engine import FORWARD_VERSION, PERTURB_VERSION
from camlab.images.folders import FolderPictures
from camlab.models import load_classifier
from camlab.study.folders import BESIDE, MAX_LISTED, beside, file_of, point_to, relocated, settle, with_full_paths
from camlab.study.plan import BEFORE, DEFAULT, StudyPlan
from camlab.study.sources import PlannedSet, Unit, check_plan, open_given, open_sets, units_of
from camlab.study.store.files import read_json, write_json
from camlab.study.store.own_models import ENTRY, keep_models, offer_from
from camlab.study.store.schema import SCHEMA_VERSION
from camlab.study.store.study import MANIFEST

_LIBRARIES = (
    *("torch", "timm", "grad-cam", "numpy", "scipy", "scikit-image", "pillow"),
    *("opencv-python-headless", "scikit-learn", "pandas", "pyarrow"),
)
#: Threads per worker. Fixed, because the last bits of a network's outputs depend on the number of threads, and a map on
#: last bits where an activation lies within rounding of a ReLU's corner or a sum is near zero. Several processes with
#: one thread each are also faster than one process with many threads.
THREADS = 1


@dataclass(frozen=True)
class LayerWork:
    """One layer of a model with the methods that can use it, in the plan's order."""

    layer: str
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Prepared:
    """A study that is ready to run: the plan, its pictures, its units, and the layers and methods of each model.

    batch: pictures computed at once. On a CPU it does not affect the rows; on a GPU it changes last bits, so a resumed
    study keeps its first batch size.
    """

    plan: StudyPlan
    sets: Mapping[str, PlannedSet]
    units: tuple[Unit, ...]
    work: Mapping[str, tuple[LayerWork, ...]]
    fingerprints: Mapping[str, str]
    batch: int
    device: str

    def pairs_of(self, model: str) -> int:
        """Count the pairs of one picture under a model."""
        return self.plan.versions() * sum(len(each.methods) for each in self.work[model])

    @property
    def pairs(self) -> int:
        """The number of all pairs."""
        return sum(self.pairs_of(unit.model) for unit in self.units)


def create(plan: StudyPlan, folder: str | Path, *, batch: int = 16, device: str = "auto") -> Path:
    """Check a plan and create its study in a new folder, which also keeps the weights of own models.

    Raises UnknownName, BadSetting, BadSource, BadStudy.
    """
    plan = with_full_paths(plan)
    check_plan(plan)
    if batch < 1:
        raise BadSetting("A study needs a batch of 1 picture or more; choose a larger one.")
    place = Path(folder)
    if (place / MANIFEST).exists():
        raise BadStudy(f"“{place.name}” already contains a study; resume it, or choose another folder.")
    if place.is_dir() and any(place.iterdir()):
        raise BadStudy(f"The folder “{place.name}” is not empty; choose another for the study.")
    try:
        place.mkdir(parents=True, exist_ok=True)
        own = keep_models(plan.models, place)
        write_json(
            place / MANIFEST,
            {
                "format": "camlab-study",
                "schema": SCHEMA_VERSION,
                "name": plan.name or place.name,
                "created": time.time(),
                "finished": False,
                "settings": plan.to_json(),
                BESIDE: beside(plan, place),
                "run": {"batch": batch, "device": device},
                **({ENTRY: own} if own else {}),
            },
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BadStudy(f"The folder “{place.name}” cannot be written to ({why}); choose another folder.") from error
    return place


def prepare(folder: Path) -> Prepared:
    """Load the models of a created study and complete its manifest; read the manifest of a prepared study.

    Raises BadStudy, and what opening an image set or loading a model raises.
    """
    manifest = read_manifest(folder)
    if (settled := settle(folder, manifest)) != manifest:
        write_json(folder / MANIFEST, manifest := settled)
    if "models" in manifest:
        now = versions()
        # All rows must follow the same rules for maps; other versions of libraries only round differently.
        if (manifest.get("versions") or {}).get("maps") != now["maps"]:
            raise BadStudy(
                "Another version of CAM Lab, whose maps differ, started this study; start a new one with its plan."
            )
        if now not in (known := [manifest.get("versions"), *manifest.get("resumed_with", [])]):
            write_json(folder / MANIFEST, {**manifest, "resumed_with": [*known[1:], now]})
        return read_prepared(folder)
    plan = relocated(StudyPlan.from_json(manifest["settings"]), manifest)
    check_plan(plan)
    sets = _as_named(open_sets(plan), StudyPlan.from_json(manifest["settings"]))
    models: dict[str, Any] = {}
    groups: list[dict[str, Any]] = []
    for model in plan.models:
        models[model], found = _look_at(model, plan, str(manifest["run"]["device"]))
        groups += found
    manifest |= {
        "versions": versions(),
        "models": models,
        "coincide": groups,
        "image_sets": {
            label: {
                "given": source.given,
                "title": source.image_set.title,
                "count": source.count,
                "pictures": [list(each) for each in source.pictures],
                **_files(source),
            }
            for label, source in sets.items()
        },
        "severities": {noise: list(plan.levels(noise)) for noise in plan.noises},
        "seeds": {noise: plan.draws(noise) for noise in plan.noises},
        "units": len(units_of(plan, sets)),
    }
    ready = _prepared(plan, sets, manifest)
    write_json(folder / MANIFEST, {**manifest, "pairs": ready.pairs})
    return ready


def plan_here(folder: Path) -> StudyPlan:
    """Return a study's plan with the present places of its folders. Raises BadStudy if one is nowhere."""
    manifest = settle(folder, read_manifest(folder))
    return relocated(StudyPlan.from_json(manifest["settings"]), manifest)


def point_study_to(folder: Path, old: str, new: str) -> None:
    """Record that a folder of a study's pictures is at another place now. Raises BadStudy, BadSource."""
    write_json(folder / MANIFEST, point_to(folder, read_manifest(folder), old, new))


def read_prepared(folder: Path) -> Prepared:
    """Read a prepared study from its folder, without a model. Raises BadStudy, and what opening a set raises."""
    return from_manifest(read_manifest(folder))


def from_manifest(manifest: Mapping[str, Any]) -> Prepared:
    """Read a prepared study from its manifest. Raises what `read_prepared` raises."""
    plan = StudyPlan.from_json(manifest["settings"])
    here = dict(zip(plan.image_sets, relocated(plan, manifest).image_sets, strict=True))
    sets: dict[str, PlannedSet] = {}
    try:
        for label, listed in manifest["image_sets"].items():
            # A folder may have grown since; the study keeps the pictures of its plan, and a moved folder its label.
            known = tuple((int(place), str(image)) for place, image in listed["pictures"])
            named = [(str(path), str(digest)) for path, digest in listed.get("files", ())]
            files = {image: file for (_, image), file in zip(known, named, strict=False)}
            given = str(listed["given"])
            sets[label] = PlannedSet(label, given, open_given(here[given], plan), plan.limit, known, files)
        return _prepared(plan, sets, manifest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadStudy("The manifest of this study cannot be read; start a new study.") from error


def _as_named(sets: Mapping[str, PlannedSet], plan: StudyPlan) -> dict[str, PlannedSet]:
    """Return opened sets with the names of the plan, wherever their folders are now."""
    named = zip(sets.items(), plan.image_sets, strict=True)
    return {label: replace(source, given=given) for (label, source), given in named}


def _files(source: PlannedSet) -> dict[str, list[list[str]]]:
    """Return path and digest of the files of a folder's pictures, by which a copy is recognised."""
    if not isinstance(source.image_set.pictures, FolderPictures) or source.count > MAX_LISTED:
        return {}
    return {"files": [list(file_of(source.image_set, place)) for place, _ in source.pictures]}


def plan_at_hand(plan: StudyPlan, device: str = "auto") -> tuple[Prepared, tuple[dict[str, str], ...]]:
    """Prepare a plan without a folder; also return the unusable methods: model, layer, method, reason."""
    models = {model: _look_at(model, plan, device)[0] for model in plan.models}
    run = {"batch": 16, "device": device}
    skipped = tuple({"model": name, **each} for name, about in models.items() for each in about["skipped"])
    return _prepared(plan, open_sets(plan), {"run": run, "models": models}), skipped


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a study that can run, whose own models can be found from then on.

    Raises BadStudy if there is none.
    """
    manifest = read_json(folder / MANIFEST)
    if manifest is None or "settings" not in manifest or manifest.get("imported"):
        raise BadStudy(f"“{folder.name}” contains no study that can run; plan one first.")
    offer_from(folder, manifest)
    return manifest


def versions() -> dict[str, str]:
    """Return the versions of the libraries, the kind of machine, and the version of the rules for maps ("maps")."""
    own = {
        "maps": f"{PERTURB_VERSION}.{FORWARD_VERSION}.{SCALE_VERSION}",
        "machine": f"{platform.system()} {platform.machine()}",
    }
    return versions_of(_LIBRARIES) | own


def layer_named(classifier: Any, word: str) -> str | None:
    """Resolve a plan's word for a layer in a model; None for "before" without a layer. Raises UnknownName."""
    if word not in (DEFAULT, BEFORE):
        return str(classifier.resolve_layer(word))
    default = str(classifier.resolve_layer(None))
    names = [layer.name for layer in classifier.layers]
    place = names.index(default) - (word == BEFORE)
    return names[place] if place >= 0 else None


def _look_at(model: str, plan: StudyPlan, device: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a model's entry in the manifest, and its groups of coinciding methods."""
    classifier = load_classifier(model, device)
    asked: list[dict[str, Any]] = []
    layers: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    groups: list[dict[str, Any]] = []
    for word in plan.layers:
        layer = layer_named(classifier, word)
        if layer is None:
            why = f"{classifier.title} has no layer before {classifier.default_layer}."
            skipped.append({"layer": word, "method": "", "reason": why})
            continue
        asked.append({"asked": word, "name": layer})
        if layer in (each["name"] for each in layers):
            continue  # the plan names the layer twice: as "default" and by name
        reasons = unserved(classifier, layer)
        skipped += [{"layer": layer, "method": m, "reason": reasons[m]} for m in plan.methods if m in reasons]
        methods = [method for method in plan.methods if method not in reasons]
        if methods:
            layers.append({"name": layer, "methods": methods})
        for group in coinciding(classifier, layer):
            names = [method for method in group.methods if method in methods]
            if len(names) > 1:
                groups.append({"model": model, "layer": layer, "methods": names, "reason": group.reason})
    if not layers:
        raise BadSetting(f"None of the methods can be used with {classifier.title}; choose others.")
    about = {
        "title": classifier.title,
        "fingerprint": classifier.fingerprint,
        "device": str(classifier.device),
        "input_size": list(classifier.input_size),
        "classes": len(classifier.class_names),
        "asked": asked,
        "layers": layers,
        "skipped": skipped,
    }
    return about, groups


def _prepared(plan: StudyPlan, sets: Mapping[str, PlannedSet], manifest: Mapping[str, Any]) -> Prepared:
    run, models = manifest["run"], manifest["models"]
    work = {
        model: tuple(LayerWork(each["name"], tuple(each["methods"])) for each in about["layers"])
        for model, about in models.items()
    }
    fingerprints = {model: str(about["fingerprint"]) for model, about in models.items()}
    units = tuple(units_of(plan, sets))
    return Prepared(plan, sets, units, work, fingerprints, run["batch"], run["device"])
