"""Models on the Explore page: from the cache, downloaded, the visitor's own, and links to what is not here."""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from cachetools import LRUCache
from huggingface_hub import constants
from streamlit.testing.v1 import AppTest

from camlab.explore.state import ExploreState
from camlab.models import MODELS, find_model, load_classifier, loading
from camlab.models.hub import download
from camlab.models.hub.catalogue import SHELF, catalogue_row
from camlab.models.own import model
from camlab.models.own.model import MAX_OWN_BYTES
from pages.shared import session
from tests.models.hub.stand_in import StandIn, fill_cache, stand_in
from tests.models.own.test_model import network
from tests.pages.conftest import alerts, html, open_app, said, wait_for, widget_key

pytestmark = pytest.mark.usefixtures("still")

RESNET, VIT, ABSENT = "timm/test_resnet.r160_in1k", "timm/test_vit.r160_in1k", "timm/resnet50.a1_in1k"


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache with two small networks, and no model or checkpoint of another test in memory."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(loading, "_others", LRUCache(loading.MAX_LOADED))
    monkeypatch.setattr(model, "_known", LRUCache(MAX_OWN_BYTES, model._bytes))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in (RESNET, VIT):
        fill_cache(tmp_path, name, weights(name))
    yield tmp_path
    session.engine.clear()
    # Engines hold their models: those of these weights must not serve another test.
    from camlab.engine.shared import engine_for

    engine_for.cache_clear()


def weights(name: str, **options: Any) -> bytes:
    module = network(name.removeprefix("timm/"), **options)
    return safetensors.torch.save(dict(module.state_dict()))


def state(at: AppTest) -> ExploreState:
    found: ExploreState = at.session_state["state"]
    return found


def press(at: AppTest, label: str) -> AppTest:
    """Press a button by its words; where it is part of the dialog, let the page follow as a browser would."""
    next(button for button in at.button if button.label.replace("\\", "") == label).click().run()
    assert not at.exception
    return at


def labels(at: AppTest) -> list[str]:
    return [button.label.replace("\\", "") for button in at.button]


# --- models that are here ---


def test_cached_models_are_offered_beside_the_bundled_ones() -> None:
    at = open_app()
    offered = at.selectbox(key=widget_key(at, "model")).options
    assert offered == [
        *(row.title for row in MODELS.values()),
        "test_resnet.r160_in1k",
        "test_vit.r160_in1k",
    ]


def test_a_cached_model_is_explained_and_its_link_restores_it() -> None:
    at = open_app()
    at.selectbox(key=widget_key(at, "model")).set_value(RESNET).run()
    assert not at.exception and not at.error and "layer" not in alerts(at)
    assert state(at).model == RESNET and at.query_params["model"] == RESNET
    assert len(at.image) == 3
    facts = next(c.value for c in at.caption if "parameters" in c.value).replace("\\", "")
    row = catalogue_row(RESNET)
    for words in (
        row.family,
        f"{row.parameters / 1e6:.3g} M parameters",
        "160 px",
        "1,000 classes",
        row.licence,
    ):
        assert words in facts
    assert f"(https://huggingface.co/{row.hub_id})" in facts
    again = open_app(model=RESNET)
    assert state(again) == state(at)
    assert "test_resnet" in html(again).split("cl-status")[1]


def test_a_transformer_says_why_its_last_layers_are_left_out() -> None:
    at = open_app(model=VIT, method="layercam")
    assert not at.warning and len(at.image) == 3
    layer = at.selectbox(key=widget_key(at, "layer"))
    assert layer.value == "blocks.4"
    assert "last layer that affects the prediction at every place" in layer.help
    assert "blocks.4 · 64×10×10 · default" in [option.strip() for option in layer.options]
    layer.set_value("blocks.2").run()
    assert state(at).layer == "blocks.2" and len(at.image) == 3


def test_layer_and_class_are_carried_over_or_told() -> None:
    at = open_app(layer="blocks.6", rule="fixed", target="7", draws="1")
    at.selectbox(key=widget_key(at, "model")).set_value("efficientnet_lite1").run()
    assert (state(at).layer, state(at).target) == ("blocks.6", 7) and not at.warning
    at.selectbox(key=widget_key(at, "model")).set_value(RESNET).run()
    assert (state(at).layer, state(at).target) == ("", 7)
    assert "test_resnet.r160_in1k has no layer called 'blocks.6'; its default layer" in alerts(at)


# --- the dialog ---


def test_the_dialog_shows_the_shelf_and_where_its_weights_are(hub_cache: Path) -> None:
    fill_cache(hub_cache, "timm/resnet18.a1_in1k", b"weights")
    at = press(open_app(), "More models")
    shown = "\n".join(m.value.replace("\\", "") for m in at.markdown)
    for name, summary in SHELF.items():
        assert f"**{name}**" in shown and summary in shown
    assert at.button(key="models.shelf.resnet18.a1_in1k").label == "Use"
    assert at.button(key="models.shelf.resnet50.a1_in1k").label == "Download 102 MB"


def test_the_search_narrows_and_a_found_model_is_used() -> None:
    at = press(open_app(), "More models")
    at.text_input(key="models.text").set_value("test resnet").run()
    first = next(b for b in at.button if (b.key or "").startswith("models.timm."))
    assert first.key == f"models.timm.{RESNET.removeprefix('timm/')}"
    assert "No accuracies are shown" in said(at)
    at.text_input(key="models.text").set_value("").run()
    at.selectbox(key="models.family").set_value("resnet").run()
    at.selectbox(key="models.size").set_value("Up to 5 M").run()
    at.selectbox(key="models.side").set_value("Up to 160 px").run()
    at.text_input(key="models.text").set_value("senet").run()
    assert "No timm classifier matches" in said(at)
    at.text_input(key="models.text").set_value("").run()
    at.selectbox(key="models.size").set_value("Any size").run()
    at.selectbox(key="models.side").set_value("Any input").run()
    count = len([b for b in at.button if (b.key or "").startswith("models.timm.")])
    assert count == 10
    at.button(key="models.more").click().run()
    assert len([b for b in at.button if (b.key or "").startswith("models.timm.")]) > count
    at.selectbox(key="models.family").set_value("").run()
    at.text_input(key="models.text").set_value("test resnet").run()
    at.button(key=first.key).click().run()
    assert not at.exception
    assert state(at).model == RESNET
    assert "models.text" not in [t.key for t in at.text_input]  # the dialog is closed


def test_what_cannot_be_explained_is_not_downloaded() -> None:
    at = press(open_app(), "More models")
    at.text_input(key="models.text").set_value("crossvit tiny").run()
    button = next(b for b in at.button if (b.key or "").startswith("models.timm.crossvit"))
    assert button.disabled
    assert "Cannot be explained: its two branches" in "\n".join(m.value for m in at.markdown).replace("\\", "")


# --- links to what is not here ---


def test_a_link_to_a_model_that_is_not_here_offers_its_download() -> None:
    at = open_app(model=ABSENT, rule="fixed", target="3")
    assert state(at).model == "efficientnet_lite0" and len(at.image) == 3
    assert "timm/resnet50.a1_in1k are not on this machine; download them first. Until then" in alerts(at)
    assert "Download resnet50.a1_in1k (about 102 MB)" in labels(at)
    at.number_input(key=widget_key(at, "severity")).set_value(1.0).run()
    assert not at.warning and "Download resnet50.a1_in1k (about 102 MB)" not in labels(at)


def test_a_link_to_an_unknown_model_keeps_the_last_one() -> None:
    for name, told in (
        ("own/0123456789ab", "The checkpoint 'own/0123456789ab' is no longer in memory; load its file again."),
        ("timm/resnet999", "could not be used"),
        ("nothing", "There is no model called 'nothing'"),
    ):
        at = open_app(model=name)
        assert told in alerts(at)
        assert state(at).model == "efficientnet_lite0" and len(at.image) == 3
        assert not [label for label in labels(at) if label.startswith("Download resnet")]


# --- downloads ---


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A stand-in for the hub that has the absent model: the weights of the small one, under its address."""
    download._check_usable(catalogue_row(ABSENT))
    with stand_in() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        yield running


def test_a_download_ends_at_the_model(server: StandIn, still: ExitStack) -> None:
    name = "timm/test_convnext.r160_in1k"
    server.files[f"/{name}/resolve/main/model.safetensors"] = weights(name)
    at = open_app(model=name)
    still.close()
    press(at, next(label for label in labels(at) if label.startswith("Download test_convnext")))
    wait_for(at, lambda page: state(page).model == name)
    assert not at.error and len(at.image) == 3
    assert "test_convnext.r160_in1k" in at.selectbox(key=widget_key(at, "model")).options
    assert not [b for b in at.button if (b.key or "").startswith("transfer.")]


def test_a_download_without_network_says_so_and_can_be_tried_again(still: ExitStack) -> None:
    at = open_app(model=ABSENT)
    still.close()
    press(at, "Download resnet50.a1_in1k (about 102 MB)")
    wait_for(at, lambda page: bool(page.error))
    assert "HF_HUB_OFFLINE is set, so the weights of timm/resnet50.a1_in1k could not be downloaded" in alerts(at)
    assert state(at).model == "efficientnet_lite0" and len(at.image) == 3
    press(at, "Try again")
    wait_for(at, lambda page: bool(page.error))
    press(at, "Dismiss")
    assert not at.error


def test_a_download_can_be_stopped_and_leaves_nothing(server: StandIn, hub_cache: Path, still: ExitStack) -> None:
    server.files[f"/{ABSENT}/resolve/main/model.safetensors"] = os.urandom(8 << 20)
    server.pause = 0.05
    at = open_app(model=ABSENT)
    still.close()
    press(at, "Download resnet50.a1_in1k (about 102 MB)")
    wait_for(at, lambda page: page.session_state["transfer"][1].done > 0)
    at.button(key="transfer.cancel").click().run()
    wait_for(at, lambda page: "was stopped; no incomplete file is left" in said(page))
    wait_for(at, lambda page: not list(hub_cache.rglob("*.incomplete")))
    assert state(at).model == "efficientnet_lite0"
    assert "Try again" not in labels(at)


# --- own checkpoints ---


def loaded(at: AppTest, name: str, data: bytes) -> AppTest:
    at.file_uploader(key="own.file").upload(name, data, "application/octet-stream").run()
    assert not at.exception
    return at


def saved(**options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(network("test_resnet", **options).state_dict(), stream)
    return stream.getvalue()


def test_an_own_checkpoint_is_recognised_and_explained_under_its_names() -> None:
    at = loaded(press(open_app(rule="fixed", target="207"), "More models"), "mine.pth", saved(num_classes=3))
    found = "\n".join(each.value for each in at.success).replace("\\", "")
    assert "this is test_resnet, with 3 classes" in found
    at.file_uploader(key="own.classes").upload("names.txt", b"ant\nbee\ncat", "text/plain").run()
    assert "3 names: “ant”, “bee”, “cat”" in said(at)
    press(at, "Explain this network")
    assert state(at).model.startswith("own/") and len(at.image) == 3
    assert at.selectbox(key=widget_key(at, "model")).value == state(at).model
    assert "mine.pth" in at.selectbox(key=widget_key(at, "model")).options
    assert "ant" in html(at)
    # The fixed class (ImageNet's golden retriever) is none of the three.
    assert state(at).rule == "own"
    assert "mine.pth has no class “golden retriever”" in alerts(at)
    again = open_app(model=state(at).model)  # in the same process the link works
    assert state(again).model == state(at).model


def test_an_own_checkpoint_that_does_not_fit_is_explained_name_by_name() -> None:
    at = loaded(press(open_app(), "More models"), "mine.pth", saved(num_classes=3))
    box = next(s for s in at.selectbox if (s.key or "").startswith("own.architecture."))
    box.set_value("resnet18d").run()
    press(at, "Explain this network")
    assert "mine.pth does not fit resnet18d: tensors" in alerts(at)
    assert "Missing in the file" in at.code[0].value
    assert state(at).model == "efficientnet_lite0"


def saved_as(value: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def architecture_box(at: AppTest) -> Any:
    return next(s for s in at.selectbox if (s.key or "").startswith("own.architecture."))


def test_weights_that_fit_several_networks_preselect_none_unless_the_file_says_which() -> None:
    state = network("test_efficientnet_ln", num_classes=3).state_dict()
    at = loaded(press(open_app(), "More models"), "mine.pth", saved_as(state))
    told = alerts(at)
    assert "mine.pth has the tensors of test_efficientnet_gn or test_efficientnet_ln, which differ in" in told
    assert "norm (GroupNormAct or LayerNormAct2d)" in told
    assert architecture_box(at).value is None
    assert at.button(key="own.use").disabled
    architecture_box(at).set_value("test_efficientnet_ln").run()
    assert not at.button(key="own.use").disabled
    loaded(at, "named.pth", saved_as({"model": state, "args": argparse.Namespace(model="test_efficientnet_ln")}))
    found = "\n".join(each.value for each in at.success).replace("\\", "")
    assert "this is test_efficientnet_ln, with 3 classes" in found
    assert "the file says which (args.model = test_efficientnet_ln)" in found
    assert "The weights come from the entry 'model'." in found
    assert architecture_box(at).value == "test_efficientnet_ln"


def test_weights_of_an_unknown_network_are_compared_with_the_nearest() -> None:
    state = network("test_resnet", num_classes=3).state_dict()
    del state["bn1.weight"]
    at = loaded(press(open_app(), "More models"), "mine.pth", saved_as(state))
    assert "matches no known architecture exactly; the nearest are test_resnet" in alerts(at)
    assert "Missing in the file (1):\n  bn1.weight" in at.code[0].value
    assert architecture_box(at).value is None


def test_what_is_no_checkpoint_is_refused_with_a_sentence() -> None:
    at = press(open_app(), "More models")
    for name, data, told in (
        ("net.onnx", b"\x08\x07\x12\x07pytorch" + bytes(64), "ONNX"),
        ("net.pth", b"\x80\x02cos\nsystem\n(S'true'\ntR.", "net.pth"),
        ("empty.pth", b"", "is empty"),
        ("text.safetensors", b"hello, this is no checkpoint", "text.safetensors"),
    ):
        loaded(at, name, data)
        assert told in alerts(at)
        assert "Explain this network" not in labels(at)
        assert state(at).model == "efficientnet_lite0" and len(at.image) == 3


def test_settings_of_a_checkpoint_that_cannot_be_used_are_told_before_it_is_loaded() -> None:
    at = loaded(press(open_app(), "More models"), "mine.pth", saved(num_classes=3))
    at.text_input(key="own.mean").set_value("a, b, c").run()
    assert "The mean is not three numbers" in alerts(at)
    assert at.button(key="own.use").disabled
    at.text_input(key="own.mean").set_value("124, 116, 104").run()
    press(at, "Explain this network")
    assert "must be three numbers from 0 to 1, for red, green and blue" in alerts(at)
    at.text_input(key="own.mean").set_value("0.5 0.5 0.5").run()
    at.file_uploader(key="own.classes").upload("names.txt", b"ant\nbee", "text/plain").run()
    press(at, "Explain this network")
    assert "There are 2 class names, but mine.pth has 3 outputs" in alerts(at)


def test_a_size_that_the_network_does_not_take_is_told_with_sizes_that_it_takes() -> None:
    data = saved_as(network("test_vit", num_classes=3, img_size=192).state_dict())
    at = loaded(press(open_app(), "More models"), "mine.pth", data)
    assert "It was trained on pictures of 192 × 192 pixels" in at.success[0].value
    at.text_input(key="own.size").set_value("12 by 12").run()
    assert "'12 by 12' is not a size; write it like 224, or 192x256 (height x width)." in alerts(at)
    assert at.button(key="own.use").disabled
    at.text_input(key="own.size").set_value("250").run()
    press(at, "Explain this network")
    assert "its sides must be multiples of 16; choose 240 × 240 or 256 × 256." in alerts(at)
    at.text_input(key="own.size").set_value("").run()
    press(at, "Explain this network")
    assert find_model(state(at).model).input_size == (192, 192)


def test_a_checkpoint_that_is_no_longer_in_memory_leaves_the_page_usable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = press(loaded(press(open_app(), "More models"), "mine.pth", saved(num_classes=3)), "Explain this network")
    assert state(at).model.startswith("own/")
    load = load_classifier

    def forgotten(
        name: str,
    ) -> object:  # when the next run begins: until then, the test reads the widget's words
        model._known.clear()
        return load(name)

    monkeypatch.setattr(session, "load_classifier", forgotten)
    at.run()
    assert "is no longer in memory; load its file again. Until then EfficientNet-Lite0 is used." in alerts(at)
    assert state(at).model == "efficientnet_lite0" and len(at.image) == 3


# --- several layers ---


def test_several_layers_are_one_state_and_one_link() -> None:
    at = open_app(layer="blocks.6")
    at.multiselect(key=widget_key(at, "more_layers")).set_value(["bn2", "blocks.4"]).run()
    assert not at.exception
    assert state(at).layer == "blocks.4+blocks.6+bn2"
    again = open_app(layer="bn2+blocks.6+blocks.4")
    assert state(again) == state(at)
    assert "layer blocks.4+blocks.6+bn2" in html(again)
    held = [again.session_state[widget_key(again, "layer")], *again.session_state[widget_key(again, "more_layers")]]
    assert sorted(held) == ["blocks.4", "blocks.6", "bn2"]
    again.multiselect(key=widget_key(again, "more_layers")).set_value([]).run()
    assert state(again).layer == "blocks.4"
    again.selectbox(key=widget_key(again, "layer")).set_value("bn2").run()
    assert state(again).layer == "" and not again.warning


def test_a_network_with_many_layers_offers_all_of_them(hub_cache: Path) -> None:
    name = "timm/mobilenetv3_small_050.lamb_in1k"
    fill_cache(hub_cache, name, weights(name))
    at = open_app(model=name)
    options = at.selectbox(key=widget_key(at, "layer")).options
    classifier = loading.load_classifier(name)
    assert len(options) == len(classifier.layers) > 10
    shallowest = min(layer.name.count(".") for layer in classifier.layers)
    for option, layer in zip(options, reversed(classifier.layers), strict=True):
        size = f"{layer.channels}×{layer.height}×{layer.width}"
        assert option.strip().removesuffix(" · default") == f"{layer.name} · {size}"
        assert len(option) - len(option.lstrip()) == layer.name.count(".") - shallowest
    assert sum(option.endswith("· default") for option in options) == 1
