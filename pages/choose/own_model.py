"""The visitor's own checkpoint: what it is, which network it belongs to, and making a model of it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from camlab.common.errors import BadCheckpoint, CamLabError
from camlab.common.wording import percent, plural
from camlab.models import load_classifier
from camlab.models.hub.catalogue import catalogue
from camlab.models.own.checkpoint import Checkpoint
from camlab.models.own.class_names import parse_class_names
from camlab.models.own.detection import Candidate, explain_mismatch
from camlab.models.own.model import SIDES, SUFFIXES, forget_upload, own_model, read_upload, three_numbers
from pages.shared.text import plain

MOST_MEGABYTES = 1000  # as in .streamlit/config.toml


def own_tab() -> None:
    """The upload, what was found in it, and the settings that make a model of it."""
    st.caption(
        "The weights of a timm network that you trained or fine-tuned, as safetensors or as a PyTorch state dict. No "
        "code in a file is ever run, and the file stays in this machine's memory. TorchScript and ONNX files are "
        "refused, as they cannot be cut into layers: save the network's state_dict instead."
    )
    file = st.file_uploader(
        "Checkpoint",
        key="own.file",
        max_upload_size=MOST_MEGABYTES,
        help=f"Files ending in {', '.join(SUFFIXES)}, up to {MOST_MEGABYTES:,} MB; "
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
            checkpoint, candidates = read_upload(file.file_id, file.getvalue, file.name)
    except CamLabError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    _found(checkpoint, candidates)
    architecture = st.selectbox(
        "Architecture",
        _architectures(candidates),
        key=f"own.architecture.{file.file_id}",
        help="The timm network that the weights belong to; those that fit best come first. Type to search.",
    )
    settings, names, problem = _settings()
    if problem:
        st.error(plain(problem), icon=":material/error:")
    if st.button(
        "Explain this network",
        key="own.use",
        type="primary",
        icon=":material/check:",
        disabled=bool(problem) or not architecture,
        help="Checks that all weights fit, and goes to the network.",
    ):
        _use(checkpoint, str(architecture), names, settings)


def _found(checkpoint: Checkpoint, candidates: list[Candidate]) -> None:
    tensors = plural(len(checkpoint.shapes), "tensor")
    notes = "".join(f" {plain(note).rstrip('.')}." for note in checkpoint.notes)
    if candidates and candidates[0].exact:
        best = candidates[0]
        classes = f"{best.classes:,} classes" if best.classes else "no classifier"
        others = ", ".join(each.architecture for each in candidates[1:])
        also = f" {plain(others)} would take the same tensors." if others else ""
        st.success(
            f"{tensors}: this is {plain(best.architecture)}, with {classes}.{also}{notes}",
            icon=":material/check_circle:",
        )
        return
    near = ", ".join(f"{each.architecture} ({percent(each.share)} of its tensors)" for each in candidates)
    likely = f"The most alike: {near}" if near else "None is alike"
    st.warning(
        plain(f"{tensors}: no network of timm has exactly these. {likely}. Name the right one.") + notes,
        icon=":material/help:",
    )


def _architectures(candidates: list[Candidate]) -> list[str]:
    known = sorted({row.architecture for row in catalogue().values()})
    return list(dict.fromkeys([*(each.architecture for each in candidates), *known]))


def _settings() -> tuple[dict[str, Any], tuple[str, ...] | None, str]:
    """How pictures are prepared, the class names, and a sentence where one of them cannot be used."""
    file = st.file_uploader(
        "Class names",
        key="own.classes",
        max_upload_size=16,
        help="One name a line, a CSV with a column of names, or JSON. Without it: ImageNet's names where the number "
        "fits, else numbers.",
    )
    with st.expander("How pictures are prepared", icon=":material/tune:"):
        st.caption("Leave empty what you did not change when training: then timm's values are used.")
        left, right = st.columns(2)
        mean = left.text_input(
            "Mean",
            key="own.mean",
            placeholder="0.485, 0.456, 0.406",
            help="Of red, green and blue, in [0, 1].",
        )
        std = right.text_input(
            "Standard deviation",
            key="own.std",
            placeholder="0.229, 0.224, 0.225",
            help="Of red, green and blue, in [0, 1].",
        )
        side = left.number_input(
            "Input side in pixels",
            *SIDES,
            None,
            step=1,
            key="own.side",
            placeholder="timm's",
            help="Height and width of what the network sees.",
        )
        crop = right.number_input(
            "Crop",
            0.1,
            1.0,
            None,
            step=0.005,
            format="%.3f",
            key="own.crop",
            placeholder="timm's",
            help="The share of the shorter side that is seen.",
        )
    settings: dict[str, Any] = {"crop_pct": crop, "input_size": None if side is None else (side, side)}
    try:
        settings |= {name: three_numbers(text, name) for name, text in (("mean", mean), ("std", std))}
        names = None if file is None else parse_class_names(file.getvalue(), file.name)
    except CamLabError as error:
        return {}, None, str(error)
    if names:
        more = f" … and {len(names) - 3:,} more" if len(names) > 3 else ""
        st.caption(f"{plural(len(names), 'name')}: {plain(', '.join(names[:3]))}{more}")
    return settings, names, ""


def _use(
    checkpoint: Checkpoint, architecture: str, names: tuple[str, ...] | None, settings: dict[str, Any]
) -> None:
    """Make a model of it and go there; else say what keeps it from fitting, name by name."""
    try:
        with st.spinner("Checking the weights and cutting the network into layers …"):
            row = own_model(checkpoint, architecture, names, **settings)
            load_classifier(row.name)
    except BadCheckpoint as error:
        st.error(plain(str(error)), icon=":material/error:")
        mismatch = explain_mismatch(checkpoint, architecture, input_size=settings["input_size"])
        if mismatch is not None:
            st.code("\n".join(mismatch.lines[1:]), language=None, wrap_lines=True)
        return
    except CamLabError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    own: list[str] = st.session_state.setdefault("own_models", [])
    own.append(row.name)
    st.session_state["arriving"] = row.name
    st.session_state.pop("own.read", None)  # the model keeps what it needs of it
    st.rerun()
