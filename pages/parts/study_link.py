"""What the Study page shows, in the session and in its link: the study, the tab, the measure and the filters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from camlab.filters import Filters
from camlab.summary import SCORES
from pages.parts import address

PREFIX = "study."
TABS = {
    "overview": "Overview",
    "distributions": "Distributions",
    "severity": "Severity",
    "pictures": "Pictures",
    "table": "Table",
    "statistics": "Statistics",
    "compare": "Compare",
    "about": "About",
}
LISTS = ("models", "sets", "methods", "layers", "noises", "severities")
_DEFAULTS: dict[str, Any] = {
    "folder": "",
    "tab": "overview",
    "similarity": "rbo",
    "outcome": "all",
    "same": "",
}


def key(name: str) -> str:
    """Session key of a choice, which is also that of its widget."""
    return PREFIX + name


def chosen(name: str) -> Any:
    """What is chosen; the default where its widget is gone or was never drawn."""
    default = () if name in LISTS else _DEFAULTS[name]
    value = st.session_state.get(key(name), default)
    return default if value is None else value


def choose(name: str, value: Any) -> None:
    """Choose something, from a callback or before its widget is drawn."""
    st.session_state[key(name)] = value


def go_to(folder: str) -> None:
    """Callback: open a study of the shelf by the name of its folder, with nothing filtered."""
    choose("folder", folder)
    put(Filters())


def filters() -> Filters:
    """The filters that the widgets hold."""
    lists = {name: tuple(chosen(name)) for name in LISTS}
    return Filters(**lists, outcome=chosen("outcome"), same=chosen("same"))


def put(found: Filters) -> None:
    """Set every filter's widget. Only before they are drawn, or in a callback."""
    for name in LISTS:
        choose(name, list(getattr(found, name)))
    choose("outcome", found.outcome)
    choose("same", found.same)


def keep() -> None:
    """Hold on to choices whose widgets are not drawn in this run, which Streamlit would forget."""
    for name in (*LISTS, *_DEFAULTS):
        if key(name) in st.session_state:
            st.session_state[key(name)] = st.session_state[key(name)]


def adopt() -> None:
    """Take over what the address bar asks for, where it is not what this page wrote there."""
    address.arrived("study")
    link = {name: str(value) for name, value in st.query_params.items()}
    kept: dict[str, str] | None = st.session_state.get("study.link")
    if link == kept:
        return
    if not link and kept:  # back from another page, where Streamlit forgets what these widgets held
        link = kept
    found, problems = Filters.parse_query(link)
    for name, known in (("tab", TABS), ("similarity", SCORES)):
        given = link.get(name, "")
        if given and given not in known:
            problems.append(f"The link's {name} {given[:40]!r} is not known; the usual one is shown.")
        choose(name, given if given in known else _DEFAULTS[name])
    choose("folder", link.get("study", ""))
    put(found)
    say(problems)
    st.session_state["study.link"] = link


def write() -> None:
    """Put what is shown into the address bar."""
    named = {"study": "folder", "tab": "tab", "similarity": "similarity"}
    link = {name: str(chosen(field)) for name, field in named.items() if chosen(field) != _DEFAULTS[field]}
    link |= filters().to_query()
    if link != {name: str(value) for name, value in st.query_params.items()}:
        st.query_params.from_dict(link)
    st.session_state["study.link"] = link


def say(problems: Sequence[str]) -> None:
    """Keep sentences for the next run to show."""
    if problems:
        st.session_state["study.notices"] = list(
            dict.fromkeys([*st.session_state.get("study.notices", []), *problems])
        )


def notices() -> list[str]:
    """The sentences to be shown, once."""
    found: list[str] = st.session_state.pop("study.notices", [])
    return found


def is_filtered() -> bool:
    """Whether anything is left out."""
    return filters() != Filters()
