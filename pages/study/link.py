"""What the Study page shows, in the session and in its link: the study, the tab, the measure and the filters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import streamlit as st

from camlab.study.analysis.filters import Filters
from camlab.study.analysis.summary import SCORES
from pages.shared import address

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
#: Choices within a tab, by their names in the link; those of the tab that is shown stand there.
LOOKS = ("value", "over", "plot", "each", "property", "with", "response", "question", "rows", "pair")
NONE = "none"  # a list of which nothing is chosen, where that is not the usual
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


def look(name: str, widget: str, options: Iterable[str], default: str | Sequence[str] = "") -> str:
    """Session key for the widget of a choice within a tab, which from now on stands in the link under its name.

    name: one of LOOKS; what the link asks for is taken where ``options`` has it. default: what needs no word there;
    a sequence where several can be chosen.
    """
    full = key(widget)
    mention(name, full, default)
    st.session_state.setdefault("study.looked", set()).add(full)
    given = asked(name)
    if given is None:
        return full
    several = not isinstance(default, str)
    wanted = [part for part in given.split(",") if part != NONE] if several else [given]
    known = set(options)
    if unknown := [part for part in wanted if part not in known]:
        say([f"The link's {name} {unknown[0][:40]!r} is not known; the usual one is shown."])
    else:
        st.session_state[full] = wanted if several else given
    return full


def mention(name: str, full: str, default: str | Sequence[str] = "") -> None:
    """Let the link of this run say what the session holds under a key, unless that is the default."""
    st.session_state.setdefault("study.looks", {})[name] = full, default


def asked(name: str) -> str | None:
    """What a link that was followed says of a choice within a tab, once; None where it says nothing."""
    given: str | None = st.session_state.get("study.asked", {}).pop(name, None)
    return given


def _looks() -> dict[str, str]:
    """What the link says of the choices within the tab that is shown."""
    said = {}
    for name, (full, default) in st.session_state.get("study.looks", {}).items():
        value = st.session_state.get(full)
        if value is None or (list(value) if not isinstance(value, str) else value) == default:
            continue
        said[name] = value if isinstance(value, str) else ",".join(value) or NONE
    return said


def keep() -> None:
    """Hold on to choices whose widgets are not drawn in this run, which Streamlit would forget."""
    st.session_state["study.looks"] = {}
    for full in (*map(key, (*LISTS, *_DEFAULTS)), *st.session_state.get("study.looked", ())):
        if full in st.session_state:
            st.session_state[full] = st.session_state[full]


def adopt() -> None:
    """Take over what the address bar asks for, where it is not what this page wrote there."""
    address.arrived("study")
    link = address.here()
    kept: dict[str, str] | None = st.session_state.get("study.link")
    if link == kept:
        return
    if not link and kept:  # back from another page, where Streamlit forgets what these widgets held
        link = kept
    st.session_state["study.asked"] = {name: text for name, text in link.items() if name in LOOKS}
    found, problems = Filters.parse_query({name: text for name, text in link.items() if name not in LOOKS})
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
    link |= filters().to_query() | _looks()
    address.put("study", link)


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
