"""timm's classifiers as a searchable list, from a table that ships with the project.

Nothing slow is imported: the table is a file (``python -m benchmarks.make_architectures`` writes it), and the folders
of the Hugging Face cache show, without the network, which weights are on this machine. timm's package holds no
accuracies, so none are shown.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from camlab.common.directories import ASSETS
from camlab.common.errors import UnknownName
from camlab.models.preprocessing import CROP_MODES
from camlab.models.registry import MODELS, OWN_PREFIX

TABLE = ASSETS / "architectures.csv"
PREFIX = "timm/"
WEIGHTS = "model.safetensors"  # a file in every repository of the table

# Sizes as papers abbreviate them: "ViT-S" is vit_small.
_SIZES = {"n": "nano", "t": "tiny", "s": "small", "m": "medium", "b": "base", "l": "large", "h": "huge"}
_WORDS = re.compile(r"[a-z]+|[0-9]+")
_ALIKE = 0.8  # least similarity of a mistyped word (difflib's ratio)


@dataclass(frozen=True)
class CatalogueRow:
    """One pretrained classifier of timm.

    ``name`` is architecture.tag and ``family`` the timm module that defines it; ``parameters`` counts trainable
    weights and ``input_size`` is (height, width). ``crop_mode`` is timm's way of cropping a picture to that size,
    ``classifier`` names the layers that output the logits; ``signature`` and ``sketch`` are digests of all other
    tensors (`camlab.models.own.signature`).
    """

    name: str
    family: str
    parameters: int
    input_size: tuple[int, int]
    classes: int
    licence: str
    hub_id: str
    crop_mode: str
    classifier: tuple[str, ...]
    signature: str
    sketch: str

    @property
    def id(self) -> str:
        """The name under which the model is loaded: ``timm/`` and the name."""
        return PREFIX + self.name

    @property
    def architecture(self) -> str:
        """The part of the name before the tag."""
        return self.name.partition(".")[0]

    @property
    def tag(self) -> str:
        """The training data and recipe of the weights, in timm's short form."""
        return self.name.partition(".")[2]

    @property
    def download_bytes(self) -> int:
        """The approximate size of the weights in bytes; nearly all are float32."""
        return 4 * self.parameters

    @property
    def unexplained(self) -> str:
        """The reason why the model cannot be explained; empty if it can."""
        if self.crop_mode not in CROP_MODES:
            return f"it prepares pictures in a way ({self.crop_mode}) that is not supported"
        return UNEXPLAINED.get(self.family, "")

    @classmethod
    def parse(cls, cells: dict[str, str]) -> CatalogueRow:
        """Return the row with these cells of the table, by column; an empty hub id follows from the name."""
        height, width = map(int, cells["input_size"].split("x"))
        return cls(
            name=cells["name"],
            family=cells["family"],
            parameters=int(cells["parameters"]),
            input_size=(height, width),
            classes=int(cells["classes"]),
            licence=cells["licence"],
            hub_id=cells["hub_id"] or PREFIX + cells["name"],
            crop_mode=cells["crop_mode"],
            classifier=tuple(cells["classifier"].split()),
            signature=cells["signature"],
            sketch=cells["sketch"],
        )


class Badge(StrEnum):
    """The location of a model's weights."""

    BUNDLED = "bundled"
    OWN = "your file"
    CACHED = "downloaded"
    DOWNLOAD = "needs download"


#: The curated models in display order: name → what the network is good for.
SHELF: dict[str, str] = {
    "resnet18.a1_in1k": "The smallest of the classic ResNets: quick, and the usual first test of a CAM.",
    "resnet50.a1_in1k": "The network that most CAM papers report; compare your numbers with theirs.",
    "vgg16_bn.tv_in1k": "No shortcuts and large maps, 14 × 14 in its last stage; the heaviest weights in this list.",
    "densenet121.tv_in1k": "Every layer sees all earlier ones; a favourite in medical imaging.",
    "inception_v3.tv_in1k": "Parallel filters of several sizes at 299 pixels; often used in older studies.",
    "mobilenetv3_large_100.ra_in1k": "Made for phones: fast on a CPU, so studies finish soon.",
    "efficientnet_b0.ra_in1k": "Few parameters for its accuracy, and close kin of the bundled models.",
    "convnext_tiny.fb_in1k": "A convolutional network built like a transformer; today's standard of its size.",
    "regnety_016.tv2_in1k": "A plain, regular design found by search; a good second opinion to ResNet.",
    "deit_small_patch16_224.fb_in1k": "A vision transformer trained on ImageNet alone; its maps come from patches.",
    "vit_small_patch16_224.augreg_in21k_ft_in1k": "The classic vision transformer, trained first on 21,000 classes.",
    "swin_tiny_patch4_window7_224.ms_in1k": "A transformer with shifted windows, its last maps 7 × 7 as a ResNet's.",
    "maxvit_tiny_tf_224.in1k": "Convolutions and two kinds of attention in every block.",
    "coatnet_0_rw_224.sw_in1k": "Convolutions first, attention last: see where the maps change character.",
}


#: Families that cannot be explained layer by layer, each with the reason (found by `benchmarks.families`).
UNEXPLAINED = {
    "crossvit": "its two branches of different patch sizes meet only in the averaged logits, so no single layer holds "
    "all that the prediction depends on",
}


@cache
def catalogue() -> dict[str, CatalogueRow]:
    """Return all rows by name, in timm's order."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        stream.readline()  # see table_version
        return {cells["name"]: CatalogueRow.parse(cells) for cells in csv.DictReader(stream)}


def table_version() -> str:
    """Return the version of timm that made the table, from its first line."""
    with TABLE.open(encoding="utf-8") as stream:
        return stream.readline().rpartition(" ")[2].strip()


def catalogue_row(name: str) -> CatalogueRow:
    """Return the row called ``name``, with or without ``timm/``. Raises UnknownName with similar names.

    A name without a tag means the architecture's first row on the shelf, else its first in the table.
    """
    bare = name.removeprefix(PREFIX)
    if (row := catalogue().get(bare)) is not None:
        return row
    if bare in (best := _best_of_architectures()):
        return best[bare]
    near = search(bare, limit=3) or [best[a] for a in difflib.get_close_matches(bare.partition(".")[0], best, n=3)]
    hint = f"did you mean {' or '.join(r.id for r in near)}?" if near else "`list catalogue` shows all of them."
    raise UnknownName(f"There is no classifier called {name[:60]!r} in timm's catalogue; {hint}")


def _best_of_architectures() -> dict[str, CatalogueRow]:
    """Return one row per architecture: that of the shelf, else the first of the table."""
    best: dict[str, CatalogueRow] = {}
    for row in catalogue().values():
        if row.name in SHELF or row.architecture not in best:
            best[row.architecture] = row
    return best


def families() -> dict[str, int]:
    """Return the number of rows of each family, sorted by name."""
    return dict(sorted(Counter(row.family for row in catalogue().values()).items()))


def search(
    text: str = "",
    *,
    family: str | None = None,
    max_parameters: int | None = None,
    max_side: int | None = None,
    classes: int | None = None,
    limit: int | None = None,
) -> list[CatalogueRow]:
    """Return the rows that match all criteria, best first; without a text the shelf, then all others by name.

    Every word of ``text`` must occur in a row's name or family: whole, as the start of a word, inside one, or,
    from four letters on, mistyped ("resnet 50", "vit small", "ViT-S", "convnxt"). ``max_side`` bounds the input's
    longer side in pixels, ``classes`` is the number of classes.
    """
    words = _words_of(text)
    shelf = {name: place for place, name in enumerate(SHELF)}
    found = []
    for place, row in enumerate(catalogue().values()):
        if (
            (family is None or row.family == family)
            and (max_parameters is None or row.parameters <= max_parameters)
            and (max_side is None or max(row.input_size) <= max_side)
            and (classes is None or row.classes == classes)
            and (score := _score(words, row.name, row.family)) is not None
        ):
            found.append((-score, shelf.get(row.name, len(shelf)), place, row))
    found.sort(key=lambda entry: entry[:3])
    return [row for *_, row in found[:limit]]


def _score(words: tuple[str, ...], name: str, family: str) -> float | None:
    """Score how well a name matches the words; None if one of them does not occur."""
    if not words:
        return 0
    own, architecture = _words_of(name), _words_of(name.partition(".")[0])
    joined = "".join(own) + " " + family.replace("_", "")
    scores = [_word_score(word, own, joined) for word in words]
    if not all(scores):
        return None
    # A name that begins with the words scores highest, then the one with the fewest other words.
    asked, whole = "".join(words), "".join(architecture)
    bonus = 3 * (whole == asked) + 2 * whole.startswith(asked)
    return sum(scores) / len(words) + bonus + len(words) / (10 * len(architecture))


@cache
def _words_of(text: str) -> tuple[str, ...]:
    """Split into letters and numbers without leading zeros: "RegNet-Y 016" is regnet, y, 16."""
    return tuple(word.lstrip("0") or "0" for word in _WORDS.findall(text.lower()))


def _word_score(word: str, own: tuple[str, ...], joined: str) -> float:
    if word in own or _SIZES.get(word) in own:
        return 3
    if word in _SIZES:  # these letters match sizes only
        return 0
    if any(each.startswith(word) for each in own):
        return 2
    if word in joined if len(word) > 1 else any(each.endswith(word) for each in own):
        return 1
    return 0.5 * (len(word) > 3 and bool(difflib.get_close_matches(word, own, n=1, cutoff=_ALIKE)))


def badges(rows: Iterable[CatalogueRow]) -> dict[str, Badge]:
    """Return the location of each row's weights, by name, listing the cache's folders only once."""
    here = _cached_repositories()
    return {row.name: Badge.CACHED if row.hub_id in here and cached_weights(row) else Badge.DOWNLOAD for row in rows}


def cached_rows() -> list[CatalogueRow]:
    """Return the rows whose weights are on this machine, in the table's order."""
    here = _cached_repositories()
    return [row for row in catalogue().values() if row.hub_id in here and cached_weights(row)]


def badge(name: str) -> Badge:
    """Return the location of the weights of the model called ``name``. Raises UnknownName."""
    if name in MODELS:
        return Badge.BUNDLED
    if name.startswith(OWN_PREFIX):
        return Badge.OWN
    row = catalogue_row(name)
    return badges([row])[row.name]


def cached_weights(row: CatalogueRow) -> Path | None:
    """Return the weights file of a row in this machine's Hugging Face cache; None if it is missing."""
    from huggingface_hub import constants, try_to_load_from_cache

    path = try_to_load_from_cache(row.hub_id, WEIGHTS, cache_dir=constants.HF_HUB_CACHE)
    return Path(path) if isinstance(path, str) else None


def _cached_repositories() -> set[str]:
    from huggingface_hub import constants

    try:
        names = [folder.name for folder in Path(constants.HF_HUB_CACHE).iterdir()]
    except OSError:  # no cache yet
        return set()
    return {name.removeprefix("models--").replace("--", "/") for name in names if name.startswith("models--")}
