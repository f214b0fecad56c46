"""The visitor's own checkpoint: recognising its network, and making a model of it."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from camlab.common.errors import BadCheckpoint, CamLabError
from camlab.common.wording import plural
from camlab.models import load_classifier
from camlab.models.own.architectures import every_trunk
from camlab.models.own.checkpoint import Checkpoint
from camlab.models.own.model import SUFFIXES, forget_upload, own_model, read_upload, three_numbers
from camlab.models.own.name_files import MAX_BYTES, NameFile, read_class_names
from camlab.models.own.name_files import SUFFIXES as NAME_SUFFIXES
from camlab.models.own.recognition import Recognition, unmatched
from camlab.models.sizes import parse_size
from pages.shared.text import plain

MOST_MEGABYTES = 1000  # as in .streamlit/config.toml


def own_tab() -> None:
    """Draw the upload, what was found in it, and the settings that turn it into a model."""
    st.caption(
        "The weights of a timm network that you trained or fine-tuned, as safetensors or a PyTorch state dict. Its "
        "classifier has two or more outputs, of which a picture has one. CAM Lab never runs code from a file and keeps "
        "the file in memory only. It refuses TorchScript and ONNX files, whose layers it cannot reach: save the "
        "network's state_dict instead."
    )
    file = st.file_uploader(
        "Checkpoint",
        key="own.file",
        max_upload_size=MOST_MEGABYTES,
        help=f"Usually a file ending in {', '.join(SUFFIXES)}, up to {MOST_MEGABYTES:,} MB; "
        "larger ones work on the command line.",
    )
    before = st.session_state.get("own.upload")
    if before is not None and (file is None or file.file_id != before):
        forget_upload(before)
    st.session_state["own.upload"] = None if file is None else file.file_id
    if file is None:
        return
    try:
        with st.spinner(f"Reading {plain(file.name)} …"):
            checkpoint, found = read_upload(file.file_id, file.getvalue, file.name)
    except CamLabError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    _found(checkpoint, found)
    choices = _architectures(found)
    architecture = st.selectbox(
        "Architecture",
        choices,
        None if found.architecture is None else choices.index(found.architecture),
        key=f"own.architecture.{file.file_id}",
        placeholder="Choose the network of these weights",
        help="The timm network of these weights; the best matches come first. Type to search.",
    )
    outputs = next((each.classes for each in found.matches if each.architecture == architecture), None)
    settings, names, problem = _settings(outputs)
    if problem:
        st.error(plain(problem), icon=":material/error:")
    if st.button(
        "Explain this network",
        key="own.use",
        type="primary",
        icon=":material/check:",
        disabled=bool(problem) or not architecture or (names is not None and len(names.fitting(outputs)) != 1),
        help="Checks that all weights fit, and opens the network.",
    ):
        remarks = found.notes if architecture == found.architecture else ()
        _use(checkpoint, str(architecture), names, settings | {"remarks": remarks})


def _found(checkpoint: Checkpoint, found: Recognition) -> None:
    """Say what the file is and why, ask which of several networks it is, or name what stood in the way."""
    tensors = plural(len(checkpoint.shapes), "tensor")
    if found.architecture is not None:
        best = next(each for each in found.matches if each.architecture == found.architecture)
        classes = f"{best.classes:,} class{'es' * (best.classes > 1)}" if best.classes else "no classifier"
        st.success(
            plain(" ".join([f"{tensors}: this is {best.architecture}, with {classes}.", *found.notes])),
            icon=":material/check_circle:",
        )
        return
    problem = unmatched(checkpoint, found)
    st.warning(plain(f"{tensors}: {problem}"), icon=":material/help:")
    _by_name(problem.lines)


def _by_name(lines: Sequence[str]) -> None:
    """List tensors one by one, if there are any to list."""
    if lines:
        st.code("\n".join(lines), language=None, wrap_lines=True)


def _architectures(found: Recognition) -> list[str]:
    known = sorted({trunk.architecture for trunk in every_trunk()})
    return list(dict.fromkeys([*(each.architecture for each in found.matches), *known]))


def _settings(outputs: int | None) -> tuple[dict[str, Any], NameFile | None, str]:
    """Draw class names and preprocessing; return preprocessing, names, and an error (empty if both are usable)."""
    file = st.file_uploader(
        "Class names",
        key="own.classes",
        max_upload_size=MAX_BYTES // 1024**2,
        help="One name per line, a table, or a list or an object of names, also inside a config.json or data.yaml "
        f"({', '.join(NAME_SUFFIXES)}). Without a file: ImageNet's names if their number fits, else numbers.",
    )
    with st.expander("Preprocessing", icon=":material/tune:", key="own_preprocessing"):
        st.caption("Fill in only what you changed for training; empty fields use the file's own values, else timm's.")
        left, right = st.columns(2)
        channels = "Of red, green and blue, in [0, 1]."
        mean = left.text_input("Mean", key="own.mean", placeholder="0.485, 0.456, 0.406", help=channels)
        std = right.text_input("Standard deviation", key="own.std", placeholder="0.229, 0.224, 0.225", help=channels)
        size = left.text_input(
            "Input size in pixels",
            key="own.size",
            placeholder="the file's, else timm's",
            help="Height and width of the network's input: 224, or 192x256 (height x width).",
        )
        crop = right.number_input(
            "Crop",
            0.1,
            1.0,
            None,
            step=0.005,
            format="%.3f",
            key="own.crop",
            placeholder="the file's, else timm's",
            help="The share of the picture's shorter side that the network sees.",
        )
    settings: dict[str, Any] = {"crop_pct": crop}
    try:
        settings["input_size"] = parse_size(size)
        settings |= {name: three_numbers(text, name) for name, text in (("mean", mean), ("std", std))}
        names = None if file is None else read_class_names(file.getvalue(), file.name)
    except CamLabError as error:
        return {}, None, str(error)
    if file is None or names is None:
        return settings, None, ""
    return settings, _reading(names, outputs, file.file_id), ""


def _reading(names: NameFile, outputs: int | None, upload: str) -> NameFile:
    """Draw how a file of class names was read, and ask if it can be read in several ways; return what was chosen."""
    fitting = {reading.key: reading for reading in names.fitting(outputs)}
    chosen = next(iter(fitting), None)
    if len(fitting) > 1:
        chosen = st.radio(
            f"{plain(names.filename)} can be read in {len(fitting)} ways. Which names are right?",
            list(fitting),
            None,
            format_func=lambda key: f"{plain(key)}: {plain(fitting[key].first_names)}",
            key=f"own.reading.{upload}",
        )
    if chosen is None:
        return names
    reading = fitting[chosen]
    st.caption(f"{plural(len(reading.names), 'name')}: {plain(reading.first_names)}. {plain(names.sentence(reading))}")
    return names.chosen(chosen)


def _use(checkpoint: Checkpoint, architecture: str, names: NameFile | None, settings: dict[str, Any]) -> None:
    """Make a model and open it, or list the tensors that do not fit."""
    try:
        with st.spinner("Checking the weights and tracing the layers …"):
            row = own_model(checkpoint, architecture, names, **settings)
            load_classifier(row.name)
    except BadCheckpoint as error:
        st.error(plain(str(error)), icon=":material/error:")
        _by_name(error.lines)
        return
    except CamLabError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    own: list[str] = st.session_state.setdefault("own_models", [])
    own.append(row.name)
    st.session_state["arriving"] = row.name
    st.session_state.pop("own.read", None)  # the model has its own copy
    st.rerun()
