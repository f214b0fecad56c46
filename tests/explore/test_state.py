"""The Explore state in links and files: nothing lost on the way, nothing broken let in."""

from __future__ import annotations

import dataclasses
import json
import operator
import re
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from camlab.cams import CAMS
from camlab.common.errors import BadState
from camlab.drawing.pictures import COLOUR_MAPS, VIEWS
from camlab.explore.state import (
    CLASS_RULES,
    MAX_DRAWS,
    MAX_SEED,
    SCOPES,
    ExploreState,
    parse_json,
    parse_query,
    settle,
    to_json,
    to_query,
)
from camlab.images import IMAGE_SETS
from camlab.metrics import SEGMENTATIONS, SIMILARITIES
from camlab.models import MODELS
from camlab.noise import NOISES

MARKUP = "<img src=x onerror=alert(1)>"
FIELDS = tuple(field.name for field in dataclasses.fields(ExploreState))
PICTURES = tuple(picture.id for images in IMAGE_SETS.values() for picture in images.pictures)

#: Nothing as it is by default: what is lost on the way shows.
UNUSUAL = ExploreState(
    model="efficientnet_lite2",
    image="upload/0123456789ab",
    method="gradcam++",
    noise="motion_blur",
    severity=1.75,
    seed=123456,
    draws=7,
    layer="blocks.5",
    rule="fixed",
    target=281,
    similarity="spearman",
    p=0.8123456789,
    segmentation="slic",
    segments=(("compactness", 0.30000000000000004), ("n_segments", 31.0)),
    view="heat",
    opacity=1 / 3,
    colormap="cividis",
    scope="sweep",
    eigen=True,
    augment=True,
    copies=16,
    sigma=0.0625,
    outline=True,
)


def segment_settings(name: str) -> st.SearchStrategy[tuple[tuple[str, float], ...]]:
    """Some settings of a segmentation, each off its default."""
    each: dict[str, st.SearchStrategy[Any]] = {}
    for parameter in SEGMENTATIONS[name].parameters:
        if parameter.whole:
            values: st.SearchStrategy[Any] = st.integers(int(parameter.low), int(parameter.high)).map(float)
        else:
            values = st.floats(parameter.low, parameter.high)
        each[parameter.name] = values.filter(partial(operator.ne, parameter.default))
    return st.fixed_dictionaries({}, optional=each).map(lambda chosen: tuple(sorted(chosen.items())))


@st.composite
def states(draw: st.DrawFn) -> ExploreState:
    rule = draw(st.sampled_from(list(CLASS_RULES)))
    classes = st.integers(0, 999)
    segmentation = draw(st.sampled_from(list(SEGMENTATIONS)))
    own = st.from_regex(r"(upload|file)/[0-9a-f]{12}", fullmatch=True)
    return ExploreState(
        model=draw(st.sampled_from(list(MODELS))),
        image=draw(st.sampled_from(PICTURES) | own),
        method=draw(st.sampled_from(list(CAMS))),
        noise=draw(st.sampled_from(list(NOISES))),
        severity=draw(st.integers(0, 20)) / 4,
        seed=draw(st.integers(0, MAX_SEED)),
        draws=draw(st.integers(1, MAX_DRAWS)),
        layer=draw(st.sampled_from(["", "bn2", "blocks.6", "blocks[-1]", "stages.0.blocks.11"])),
        rule=rule,
        target=draw(classes if rule == "fixed" else st.none() | classes),
        similarity=draw(st.sampled_from(list(SIMILARITIES))),
        p=draw(st.floats(0.5, 0.99)),
        segmentation=segmentation,
        segments=draw(segment_settings(segmentation)),
        view=draw(st.sampled_from(list(VIEWS))),
        opacity=draw(st.floats(0, 1)),
        colormap=draw(st.sampled_from(list(COLOUR_MAPS))),
        scope=draw(st.sampled_from(list(SCOPES))),
    )


def is_one_sentence(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Z][^\n]*\.", text)) and not re.search(r"[.!?]\)?\s+[A-Z(]", text)


# there and back


@settings(max_examples=200, deadline=None)
@given(states())
@example(ExploreState())
@example(UNUSUAL)
def test_a_link_gives_the_same_state_back(state: ExploreState) -> None:
    query = to_query(state)
    assert parse_query(query) == (state, [])
    typed = dict(parse_qsl(urlencode(query)))  # through a browser's address bar
    assert parse_query(typed) == (state, [])


@settings(max_examples=100, deadline=None)
@given(states(), states())
@example(ExploreState(), UNUSUAL)
@example(UNUSUAL, ExploreState())
def test_a_file_gives_the_same_state_back_whatever_was_on_screen(state: ExploreState, before: ExploreState) -> None:
    text = to_json(state, {"anything": [1, None]})
    assert parse_json(text) == (state, [])
    assert parse_json(text.encode(), base=before) == (state, [])
    assert parse_json(text.encode("utf-8-sig"), base=before) == (state, [])


def test_no_field_is_left_out() -> None:
    default = ExploreState()
    for field in FIELDS:
        assert getattr(UNUSUAL, field) != getattr(default, field), field
    assert tuple(to_query(UNUSUAL)) == FIELDS
    assert tuple(json.loads(to_json(default))["state"]) == FIELDS


def test_a_link_is_short_and_readable() -> None:
    query = to_query(ExploreState())
    assert "layer" not in query and "target" not in query and "segments" not in query
    assert query["severity"] == "3" and query["opacity"] == "0.55" and query["p"] == "0.9"
    assert to_query(ExploreState(severity=2.25))["severity"] == "2.25"
    assert to_query(UNUSUAL)["segments"] == "compactness:0.30000000000000004,n_segments:31"


def test_a_link_with_some_fields_leaves_the_others() -> None:
    state, problems = parse_query({"severity": "4.5", "noise": "fog"}, UNUSUAL)
    assert state == dataclasses.replace(UNUSUAL, severity=4.5, noise="fog")
    assert problems == []
    assert parse_query({}) == (ExploreState(), [])


def test_severity_falls_on_the_sliders_steps() -> None:
    assert parse_query({"severity": "2.25"}) == (ExploreState(severity=2.25), [])
    for text in ("2.3", "4.99", "0.1"):
        state, problems = parse_query({"severity": text})
        assert state.severity == ExploreState().severity
        assert len(problems) == 1 and "not a multiple of 0.25" in problems[0]


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), ("5", 5.0)])
def test_the_ends_of_a_range_belong_to_it(text: str, value: float) -> None:
    assert parse_query({"severity": text}) == (ExploreState(severity=value), [])
    assert parse_query({"seed": str(MAX_SEED)})[0].seed == MAX_SEED
    assert parse_query({"draws": "1"})[0].draws == 1


# what cannot be used

NUMBERS = ("nan", "inf", "-inf", "1e999", "", "three", "0x3", "1,5", MARKUP, "[1]", "\ud800", "٣x")
BAD: dict[str, tuple[str, ...]] = {
    "model": ("", "resnet50", "EfficientNet_Lite0", MARKUP, "../../etc/passwd", "\ud800"),
    "image": (
        *("", "photos", "photos/", "photos/nothing", "nothing/bison", "../photos/bison", MARKUP),
        *("upload/", f"upload/{MARKUP}", "upload/0123456789AB", "file/../../secret", "upload/0123456789abc"),
        *("upload/\ud800", "upload/0123456789ab\n"),
    ),
    "method": ("", "gradcamm", MARKUP),
    "noise": ("", "gaussian", MARKUP),
    "severity": (*NUMBERS, "-0.25", "5.01", "9"),
    "seed": (*NUMBERS, "-1", str(MAX_SEED + 1), "1.5"),
    "draws": (*NUMBERS, "0", str(MAX_DRAWS + 1), "2.5", "-4"),
    "layer": (MARKUP, "bn2;drop", "x" * 201, "blocks 6", "bn2\n", "\ud800"),
    "rule": ("", "mine", MARKUP),
    "target": (*(text for text in NUMBERS if text), "-1", "3.5", "1e9"),
    "similarity": ("", "rb", MARKUP),
    "p": (*NUMBERS, "0.49", "0.991", "1", "0"),
    "segmentation": ("", "felzenszwalb", MARKUP),
    "segments": ("kernel_size", "kernel_size:", "kernel_size:x", "kernel_size:nan", MARKUP, "=:1:2"),
    "view": ("", "raw", MARKUP),
    "opacity": (*NUMBERS, "-0.1", "1.01"),
    "colormap": ("", "jet", "rainbow", MARKUP),
    "scope": ("", "all", MARKUP),
    "eigen": ("yes", "2", "True", MARKUP),
    "augment": ("on", "-1", MARKUP),
    "copies": (*NUMBERS, "-1", "201", "2.5"),
    "sigma": (*NUMBERS, "0", "1.01"),
    "outline": ("yes", "2", MARKUP),
}


def test_bad_values_are_known_for_every_field() -> None:
    assert tuple(BAD) == FIELDS


@pytest.mark.parametrize("field", FIELDS)
def test_a_bad_value_keeps_the_last_good_one_and_says_so_once(field: str) -> None:
    for text in BAD[field]:
        for base in (ExploreState(), dataclasses.replace(UNUSUAL, image="places/taj_mahal")):
            state, problems = parse_query({field: text}, base)
            assert state == base, (field, text)
            assert len(problems) == 1, (field, text, problems)
            assert is_one_sentence(problems[0]), problems[0]
            assert f"'{field}'" in problems[0]
            assert len(problems[0]) < 500


def test_what_is_said_about_a_bad_value() -> None:
    cases = {
        ("severity", "7"): "The setting 'severity' could not be used (7 is outside 0 to 5) and stays at 3.",
        (
            "seed",
            "1.5",
        ): "The setting 'seed' could not be used (1.5 is not a whole number; choose one from 0 to "
        "999999) and stays at 0.",
        (
            "p",
            "high",
        ): "The setting 'p' could not be used ('high' is not a number; choose one from 0.5 to 0.99) and stays at 0.9.",
        (
            "scope",
            "swep",
        ): "The setting 'scope' could not be used (There is no scope called 'swep'; did you mean "
        "'sweep'?) and stays at severity.",
        ("layer", "<b>"): "The setting 'layer' could not be used ('<b>' is not a layer name) and stays at the default.",
    }
    for (field, text), said in cases.items():
        assert parse_query({field: text})[1] == [said]


def test_good_fields_beside_bad_ones_are_used_and_every_bad_one_is_told() -> None:
    query = {"severity": "nan", "seed": "5", "noise": MARKUP, "draws": "4", "nothing": "1"}
    state, problems = parse_query(query)
    assert state == ExploreState(seed=5, draws=4)
    assert len(problems) == 3 and all(map(is_one_sentence, problems))


@pytest.mark.parametrize("name", ["sevrity", "", MARKUP, "x" * 500, "\ud800", "__class__", "segment_parameters"])
def test_an_unknown_field_is_ignored_with_a_sentence(name: str) -> None:
    state, problems = parse_query({name: "1"}, UNUSUAL)
    assert state == UNUSUAL
    assert len(problems) == 1 and is_one_sentence(problems[0]) and len(problems[0]) < 200


def test_an_unknown_field_is_named() -> None:
    assert parse_query({"sevrity": "1"})[1] == ["This link names 'sevrity', which is not a setting; it was ignored."]


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(FIELDS) | st.text(max_size=10),
        st.text(max_size=30)
        | st.floats().map(str)
        | st.sampled_from([text for texts in BAD.values() for text in texts] + list(to_query(UNUSUAL).values())),
        max_size=8,
    )
)
def test_any_link_gives_a_state_that_can_be_linked_to(query: dict[str, str]) -> None:
    state, problems = parse_query(query)
    assert parse_query(to_query(state)) == (state, [])
    assert all("\n" not in text and text.endswith(".") for text in problems)
    used = [name for name in query if name in FIELDS]
    assert len(problems) >= len(query) - len(used)
    urlencode(to_query(state)).encode("ascii")
    json.dumps(state.segment_parameters, allow_nan=False)
    assert state.seeds and state.shown_seed in state.seeds


# fields that depend on one another


def test_settings_of_another_segmentation_are_dropped() -> None:
    state, problems = parse_query({"segmentation": "slic", "segments": "kernel_size:5,n_segments:80"})
    assert state.segments == (("n_segments", 80.0),)
    assert problems == ["The segmentation slic has no setting 'kernel_size'; it was ignored."]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kernel_size:99", "The segmentation setting kernel_size = 99 is outside 1 to 12; 4 is used."),
        ("kernel_size:0", "The segmentation setting kernel_size = 0 is outside 1 to 12; 4 is used."),
        ("rng:42.5", "The segmentation setting rng = 42.5 is not a whole number; 42 is used."),
        ("<b>:1", "The segmentation quickshift has no setting '<b>'; it was ignored."),
    ],
)
def test_settings_out_of_range_fall_back_to_the_default(text: str, said: str) -> None:
    state, problems = parse_query({"segments": text})
    assert state == ExploreState()
    assert problems == [said] and is_one_sentence(said)


def test_equal_segmentations_are_equal_states() -> None:
    plain = parse_query({"segments": "kernel_size:5"})[0]
    for text in (
        "kernel_size:5,ratio:0.2",
        "kernel_size:5.0,",
        "kernel_size:3,kernel_size:5",
        "rng:42,kernel_size:5",
    ):
        assert parse_query({"segments": text}) == (plain, [])
    assert plain.segment_parameters == {"kernel_size": 5.0, "max_dist": 200, "ratio": 0.2, "rng": 42}


def test_segment_parameters_hold_every_default() -> None:
    for name, entry in SEGMENTATIONS.items():
        state = ExploreState(segmentation=name)
        assert state.segment_parameters == {p.name: p.default for p in entry.parameters}


def test_a_fixed_class_that_is_not_named_is_no_fixed_class() -> None:
    state, problems = parse_query({"rule": "fixed"})
    assert state == ExploreState()
    assert len(problems) == 1 and is_one_sentence(problems[0])
    assert parse_query({"rule": "fixed", "target": "0"}) == (ExploreState(rule="fixed", target=0), [])


@settings(max_examples=100, deadline=None)
@given(states())
def test_settling_a_settled_state_changes_nothing(state: ExploreState) -> None:
    assert settle(state) == (state, [])


# files


def document(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(to_json(UNUSUAL))
    return found | changes


def test_a_file_holds_format_version_state_and_results() -> None:
    text = to_json(UNUSUAL, {"similarity": 0.5, "who": "Zoë"})
    assert json.loads(text)["results"] == {"similarity": 0.5, "who": "Zoë"}
    assert "Zoë" in text, "readable, not escaped"
    assert list(json.loads(text)) == ["format", "version", "state", "results"]
    assert json.loads(text)["format"] == "camlab-explore" and json.loads(text)["version"] == 1
    assert json.loads(to_json(UNUSUAL))["results"] == {}


def test_a_file_never_holds_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json(UNUSUAL, {"x": float("nan")})


def deep(levels: int, inside: str = "") -> str:
    return "[" * levels + inside + "]" * levels


NO_JSON = "This file is not readable JSON; load a state file that CAM Lab saved."
NO_STATE = "This JSON file is not a CAM Lab state; load a file saved with “State and results”."
DAMAGED = "This state file's settings are damaged; load another file or set the controls by hand."
FORMAT = '"format": "camlab-explore"'


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", NO_JSON),
        ("", NO_JSON),
        (b"not json", NO_JSON),
        (b'{"format": "camlab-explore", ', NO_JSON),
        (b"\xff\xfe\x00\xd8", NO_JSON),
        (b'{"a": "\xe4"}', NO_JSON),
        (bytes(range(256)), NO_JSON),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), NO_JSON),
        (deep(100_000), NO_JSON),
        ('{"a":' * 100_000, NO_JSON),
        ("9" * 5000, NO_JSON),
        (f'{{{FORMAT}, "version": {"9" * 5000}}}', NO_JSON),
        (b"null", NO_STATE),
        (b"3", NO_STATE),
        (b'"camlab-explore"', NO_STATE),
        (b"[]", NO_STATE),
        (deep(50), NO_STATE),
        (b"{}", NO_STATE),
        (b'{"format": "camlab-study", "version": 1, "state": {}}', NO_STATE),
        (b'{"format": ["camlab-explore"], "version": 1, "state": {}}', NO_STATE),
        (json.dumps(document(state=None)), DAMAGED),
        (json.dumps(document(state=[])), DAMAGED),
        (json.dumps(document(state="severity=3")), DAMAGED),
        (json.dumps(document(state={"severity": 3})), DAMAGED),
        (json.dumps(document(state={"severity": ["3"]})), DAMAGED),
        (json.dumps(document(state={"seed": None})), DAMAGED),
        (f'{{{FORMAT}, "version": 1}}', DAMAGED),
        (f'{{{FORMAT}, "version": 1, "state": {{"seed": NaN}}}}', DAMAGED),
        (f'{{{FORMAT}, "version": 1, "state": {{"seed": {deep(200)}}}}}', DAMAGED),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_broken_file_is_refused_with_one_sentence(data: bytes | str, said: str) -> None:
    with pytest.raises(BadState) as caught:
        parse_json(data, UNUSUAL)
    assert str(caught.value) == said
    assert is_one_sentence(said)


@pytest.mark.parametrize("version", ["2", "0", '"1"', "null", "1.5", "[1]", '"' + MARKUP + '"', deep(300), "1e999"])
def test_a_file_of_another_version_is_refused_with_one_sentence(version: str) -> None:
    with pytest.raises(BadState) as caught:
        parse_json(f'{{{FORMAT}, "version": {version}, "state": {{}}}}')
    assert str(caught.value).startswith("This state file has version '")
    assert str(caught.value).endswith("', but this CAM Lab reads version 1; save it again with a matching CAM Lab.")
    assert is_one_sentence(str(caught.value)) and len(str(caught.value)) < 150


@pytest.mark.parametrize("levels", range(880, 1010, 5))
def test_nesting_at_the_edge_of_what_can_be_read_is_no_crash_either(levels: int) -> None:
    for text in (
        f'{{{FORMAT}, "version": {deep(levels)}, "state": {{}}}}',
        f'{{{FORMAT}, "version": 1, "state": {deep(levels)}}}',
    ):
        with pytest.raises(BadState):
            parse_json(text)


def test_a_file_with_some_bad_fields_gives_the_good_ones() -> None:
    fields = document()["state"] | {"severity": "12", "noise": MARKUP, "extra": "1", "layer": "\ud800"}
    state, problems = parse_json(json.dumps(document(state=fields)))
    default = ExploreState()
    assert state == dataclasses.replace(UNUSUAL, severity=default.severity, noise=default.noise, layer=default.layer)
    assert len(problems) == 4 and all(map(is_one_sentence, problems))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60)
    | JSON_VALUES.map(json.dumps)
    | st.fixed_dictionaries(
        {"format": st.just("camlab-explore"), "version": st.just(1) | JSON_VALUES},
        optional={
            "state": JSON_VALUES
            | st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES | st.text(max_size=8), max_size=3)
        },
    ).map(json.dumps)
)
def test_any_file_is_refused_or_gives_a_state(data: bytes | str) -> None:
    try:
        state, problems = parse_json(data, UNUSUAL)
    except BadState as error:
        assert is_one_sentence(str(error))
    else:
        assert parse_json(to_json(state)) == (state, [])
        assert all("\n" not in text for text in problems)


# seeds


@settings(max_examples=300, deadline=None)
@given(st.integers(0, MAX_SEED), st.integers(1, MAX_DRAWS), st.data())
@example(MAX_SEED, 7, None)
@example(0, 1, None)
def test_the_draws_are_the_block_that_holds_the_seed(seed: int, draws: int, data: st.DataObject | None) -> None:
    state = ExploreState(seed=seed, draws=draws)
    seeds = state.seeds
    assert seed in seeds and state.shown_seed == seed
    assert list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    assert seeds[0] % draws == 0
    # Whole blocks, but for the last: no seed that a link could not name.
    assert len(seeds) == draws or seeds[-1] == MAX_SEED
    assert seeds[-1] <= MAX_SEED
    step = seeds[-1] if data is None else data.draw(st.sampled_from(seeds))
    assert dataclasses.replace(state, seed=step).seeds == seeds


def test_the_first_draws_are_the_seeds_of_a_study() -> None:
    assert ExploreState(seed=3, draws=5).seeds == (0, 1, 2, 3, 4)
    assert ExploreState(seed=5, draws=5).seeds == (5, 6, 7, 8, 9)


@pytest.mark.parametrize("noise", list(NOISES))
def test_a_noise_with_nothing_to_draw_has_one_seed(noise: str) -> None:
    state = ExploreState(noise=noise, seed=37, draws=16)
    if NOISES[noise].stochastic:
        assert state.seeds == tuple(range(32, 48)) and state.shown_seed == 37
    else:
        assert state.seeds == (0,) and state.shown_seed == 0


def test_what_is_offered() -> None:
    assert list(CLASS_RULES) == ["own", "clean", "fixed"]
    assert list(SCOPES) == ["severity", "sweep"]
    default = ExploreState()
    assert (default.severity, default.seed, default.draws, default.similarity, default.p) == (
        3.0,
        0,
        16,
        "rbo",
        0.9,
    )
    assert default.layer == "" and default.rule == "own" and default.image in PICTURES
