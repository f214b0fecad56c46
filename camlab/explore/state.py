"""The Explore state: every choice behind the content of the page, as a value for links and files."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from camlab.cams import CAMS
from camlab.cams.smoothing import MOST_COPIES, PLAIN, Smoothing
from camlab.common.errors import BadSetting, BadState, CamLabError
from camlab.common.parsing import flag, integer, member, number
from camlab.common.registry import Registry
from camlab.drawing.pictures import COLOUR_MAPS, VIEWS
from camlab.images import find_picture
from camlab.images.picture import is_own_id
from camlab.metrics import SEGMENTATIONS, SIMILARITIES
from camlab.models import OWN_PREFIX, find_model
from camlab.noise import NOISES

STATE_FORMAT = "camlab-explore"
STATE_VERSION = 1

MAX_DRAWS = 64
MAX_SEED = 999_999
SEVERITY_STEP = 0.25
#: Fields that affect the display of a result, not the result.
VIEW_FIELDS = ("view", "opacity", "colormap", "scope", "outline")

CLASS_RULES: Registry[str] = Registry("class rule")
CLASS_RULES.add("own", "Each picture's own prediction")
CLASS_RULES.add("clean", "The clean prediction in both")
CLASS_RULES.add("fixed", "One class of your choice in both")

SCOPES: Registry[str] = Registry("scope")
SCOPES.add("severity", "This severity")
SCOPES.add("sweep", "The whole sweep")


@dataclass(frozen=True)
class ExploreState:
    """Every choice on the Explore page; two equal states show the same pixels."""

    model: str = "efficientnet_lite0"
    image: str = "photos/german_shepherd"
    method: str = "gradcam"
    noise: str = "gaussian_noise"
    severity: float = 3.0
    seed: int = 0
    draws: int = 16
    layer: str = ""
    rule: str = "own"
    target: int | None = None
    similarity: str = "rbo"
    p: float = 0.9
    segmentation: str = "quickshift"
    segments: tuple[tuple[str, float], ...] = ()
    view: str = "overlay"
    opacity: float = 0.55
    colormap: str = "inferno"
    scope: str = "severity"
    eigen: bool = False
    augment: bool = False
    copies: int = 0
    sigma: float = 0.15
    outline: bool = False

    @property
    def smoothing(self) -> Smoothing:
        """The smoothing of maps."""
        return Smoothing(self.eigen, self.augment, self.copies, self.sigma if self.copies else PLAIN.sigma)

    @property
    def segment_parameters(self) -> dict[str, float]:
        """All parameters of the segmentation, defaults filled in."""
        chosen = dict(self.segments)
        return {p.name: chosen.get(p.name, p.default) for p in SEGMENTATIONS[self.segmentation].parameters}

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the noise draws: the block of ``draws`` consecutive seeds that holds ``seed``.

        Stepping through the draws of a block thus changes no distribution. A noise type without draws has one seed.
        """
        if not NOISES[self.noise].stochastic:
            return (0,)
        start = self.seed // self.draws * self.draws
        return tuple(range(start, min(start + self.draws, MAX_SEED + 1)))

    @property
    def shown_seed(self) -> int:
        """The seed of the pair on screen (0 for a noise type without draws)."""
        return self.seed if NOISES[self.noise].stochastic else 0


def _picture(text: str) -> str:
    # Check only the form of the name: the session alone knows the user's own pictures.
    if not is_own_id(text):
        find_picture(text)
    return text


def _model(text: str) -> str:
    # Check only the form of the name: the session alone knows the user's checkpoints.
    return text if re.fullmatch(OWN_PREFIX + "[0-9a-f]{12}", text) else find_model(text).name


def _layer(text: str) -> str:
    # Check only the form of the name: the model alone knows its layers.
    if not re.fullmatch(r"[A-Za-z0-9_.\-\[\]+]{0,200}", text):
        raise BadSetting(f"{text[:30]!r} is not a layer name")
    return text


def _target(text: str) -> int | None:
    return None if text == "" else integer(0, 10**6)(text)


def _segments(text: str) -> tuple[tuple[str, float], ...]:
    """Parse ``name:value,name:value``; ranges are checked once the segmentation is known."""
    pairs: list[tuple[str, float]] = []
    for part in filter(None, text.split(",")):
        name, colon, value = part.partition(":")
        if not colon:
            raise BadSetting(f"{part[:30]!r} is not a segmentation setting of the form name:value.")
        pairs.append((name, number(-1e9, 1e9)(value)))
    return tuple(pairs)


# One parser per field: from its text in a link or file to a value. Raises CamLabError for a bad text.
_PARSERS: dict[str, Callable[[str], Any]] = {
    "model": _model,
    "image": _picture,
    "method": member(CAMS),
    "noise": member(NOISES),
    "severity": number(0, 5, SEVERITY_STEP),
    "seed": integer(0, MAX_SEED),
    "draws": integer(1, MAX_DRAWS),
    "layer": _layer,
    "rule": member(CLASS_RULES),
    "target": _target,
    "similarity": member(SIMILARITIES),
    "p": number(0.5, 0.99),
    "segmentation": member(SEGMENTATIONS),
    "segments": _segments,
    "view": member(VIEWS),
    "opacity": number(0, 1),
    "colormap": member(COLOUR_MAPS),
    "scope": member(SCOPES),
    "eigen": flag,
    "augment": flag,
    "copies": integer(0, MOST_COPIES),
    "sigma": number(0.01, 1),
    "outline": flag,
}


def field_text(value: Any) -> str:
    """Return the text of a field's value in a link or file."""
    if isinstance(value, tuple):
        return ",".join(f"{name}:{field_text(number)}" for name, number in value)
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)  # the text must keep every digit
    return "" if value is None else str(value)


def parse_field(name: str, text: str) -> Any:
    """Parse a field's text from a link or file. Raises CamLabError for a bad text."""
    return _PARSERS[name](text)


def to_query(state: ExploreState) -> dict[str, str]:
    """Return the state as link parameters, which `parse_query` reads back."""
    return {name: text for name in _PARSERS if (text := field_text(getattr(state, name))) != ""}


def parse_query(query: Mapping[str, str], base: ExploreState | None = None) -> tuple[ExploreState, list[str]]:
    """Read a state from link parameters; return it with one sentence per part that could not be used.

    Fields that are missing or unusable keep the value they have in ``base`` (default: the defaults).
    """
    state = base or ExploreState()
    problems: list[str] = []
    for name, text in query.items():
        if name not in _PARSERS:
            problems.append(f"This link names {str(name)[:40]!r}, which is not a setting; it was ignored.")
            continue
        try:
            state = dataclasses.replace(state, **{name: _PARSERS[name](str(text))})
        except CamLabError as error:
            kept = field_text(getattr(state, name)) or "the default"
            problems.append(f"The setting {name!r} could not be used ({str(error).rstrip('.')}) and stays at {kept}.")
    state, more = settle(state)
    return state, problems + more


def settle(state: ExploreState) -> tuple[ExploreState, list[str]]:
    """Adjust fields that contradict each other; return the state and one sentence per change."""
    problems: list[str] = []
    known = {p.name: p for p in SEGMENTATIONS[state.segmentation].parameters}
    kept = []
    for name, value in dict(state.segments).items():
        if name not in known:
            problems.append(f"The segmentation {state.segmentation} has no setting {name[:40]!r}; it was ignored.")
        elif not known[name].low <= value <= known[name].high:
            low, high = known[name].low, known[name].high
            problems.append(f"The segmentation setting {name} = {value:g} is outside {low:g} to {high:g}; "
                            f"{known[name].default:g} is used.")  # fmt: skip
        elif known[name].whole and not float(value).is_integer():
            problems.append(f"The segmentation setting {name} = {value:g} is not a whole number; "
                            f"{known[name].default:g} is used.")  # fmt: skip
        elif value != known[name].default:
            kept.append((name, value))
    state = dataclasses.replace(state, segments=tuple(sorted(kept)))
    if state.eigen and CAMS[state.method].terms is None:
        problems.append(f"{CAMS[state.method].title} has no weighted channels to smooth; eigen smoothing is off.")
        state = dataclasses.replace(state, eigen=False)
    if state.rule == "fixed" and state.target is None:
        problems.append("The class rule asks for a fixed class but names none; each picture's own prediction is used.")
        state = dataclasses.replace(state, rule="own")
    return state, problems


def to_json(state: ExploreState, results: Mapping[str, Any] | None = None) -> str:
    """Return the state, with any results, as the text of a file that `parse_json` reads back."""
    document = {
        "format": STATE_FORMAT,
        "version": STATE_VERSION,
        # Write empty fields, too, so that a file describes the whole state, whatever state it replaces.
        "state": {name: field_text(getattr(state, name)) for name in _PARSERS},
        "results": dict(results or {}),
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def parse_json(data: bytes | str, base: ExploreState | None = None) -> tuple[ExploreState, list[str]]:
    """Read a state from a file; return it with one sentence per part that could not be used.

    Raises BadState if the text is no saved state.
    """
    try:
        document = json.loads(data)
    except (ValueError, UnicodeDecodeError, RecursionError):
        raise BadState("This file is not readable JSON; load a state file that CAM Lab saved.") from None
    if not isinstance(document, dict) or document.get("format") != STATE_FORMAT:
        raise BadState("This JSON file is not a CAM Lab state; load a file saved with “State and results”.")
    if document.get("version") != STATE_VERSION:
        raise BadState(f"This state file has version {str(document.get('version'))[:20]!r}, but this CAM Lab reads "
                       f"version {STATE_VERSION}; save it again with a matching CAM Lab.")  # fmt: skip
    fields = document.get("state")
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise BadState("This state file's settings are damaged; load another file or set the controls by hand.")
    return parse_query(fields, base)
