"""The state of the Study page in the session and in its link: the study, the tab, the measure and the filters."""

from collections.abc import Iterable, Sequence

import streamlit as st

from camlab.study.analysis.filters import Filters
from camlab.study.analysis.summary import SCORES
from pages.shared.page_state import PageState

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
#: Choices within a tab, by their names in the link, which contains only those of the tab on screen.
TAB_CHOICES = ("value", "over", "plot", "each", "property", "with", "response", "question", "rows", "pair")
NONE = "none"  # an empty list, for a field whose default is not empty
#: Choices with one value, by their names in the link.
_NAMED = {"study": "folder", "tab": "tab", "similarity": "similarity"}


class StudyPage(PageState):
    """The choices of the Study page."""

    def go_to(self, folder: str) -> None:
        """Open a study of the shelf by the name of its folder, without filters. For callbacks."""
        self.choose("folder", folder)
        self.set_filters(Filters())

    def filters(self) -> Filters:
        """Return the filters that the widgets hold."""
        lists = {name: tuple(self.chosen(name)) for name in LISTS}
        return Filters(**lists, outcome=self.chosen("outcome"), same=self.chosen("same"))

    def is_filtered(self) -> bool:
        """Return whether any filter leaves pairs out."""
        return self.filters() != Filters()

    def set_filters(self, found: Filters) -> None:
        """Set the widget of every filter; only in a callback or before the widgets are drawn."""
        for name in LISTS:
            self.choose(name, list(getattr(found, name)))
        self.choose("outcome", found.outcome)
        self.choose("same", found.same)

    def look(self, name: str, widget: str, options: Iterable[str], default: str | Sequence[str] = "") -> str:
        """Return the session key for the widget of a choice within a tab, and put that choice into the link.

        name: one of TAB_CHOICES. A value in the link is set if it is one of ``options``. default: the value that
        the link leaves out; a sequence if several options can be chosen.
        """
        st.session_state.setdefault("study.looked", set()).add(widget)
        if (given := self.asked(name)) is not None:
            several = not isinstance(default, str)
            wanted = [part for part in given.split(",") if part != NONE] if several else [given]
            known = set(options)
            if unknown := [part for part in wanted if part not in known]:
                self.say([f"The link's {name} {unknown[0][:40]!r} is unknown; the default is shown."])
            else:
                self.choose(widget, wanted if several else given)
        full = self.key(widget)
        self.mention(name, full, default)
        return full

    def mention(self, name: str, full: str, default: str | Sequence[str] = "") -> None:
        """Put the value under the session key ``full`` into the link of this run, unless it is the default."""
        st.session_state.setdefault("study.looks", {})[name] = full, default

    def asked(self, name: str) -> str | None:
        """Return, only once, the value of a choice within a tab in the last link followed; None if it has none."""
        given: str | None = st.session_state.get("study.asked", {}).pop(name, None)
        return given

    def link(self) -> dict[str, str]:
        """Return the parameters that differ from the defaults, with the looks of the tab on screen."""
        chosen = {name: str(self.chosen(field)) for name, field in _NAMED.items()}
        link = {name: text for name, text in chosen.items() if text != self.defaults[_NAMED[name]]}
        link |= self.filters().to_query()
        for name, (full, default) in st.session_state.get("study.looks", {}).items():
            value = st.session_state.get(full)
            if value is None or (list(value) if not isinstance(value, str) else value) == default:
                continue
            link[name] = value if isinstance(value, str) else ",".join(value) or NONE
        return link

    def take(self, link: dict[str, str]) -> list[str]:
        """Set the choices from a link; return one sentence for each unusable part."""
        st.session_state["study.asked"] = {name: text for name, text in link.items() if name in TAB_CHOICES}
        found, problems = Filters.parse_query({name: text for name, text in link.items() if name not in TAB_CHOICES})
        for name, known in (("tab", TABS), ("similarity", SCORES)):
            given = link.get(name, "")
            if given and given not in known:
                problems.append(f"The link's {name} {given[:40]!r} is unknown; the default is shown.")
            self.choose(name, given if given in known else self.defaults[name])
        self.choose("folder", link.get("study", ""))
        self.set_filters(found)
        return problems

    def restore(self, returned: bool) -> None:
        """Apply the last link again after a visit to another page, which may have reset widgets and filters."""
        if returned:
            self.take(st.session_state[self.key("link")])

    def adopt(self) -> None:
        """Take over the link, and keep the choices of the tabs that this run does not draw."""
        super().adopt()
        st.session_state["study.looks"] = {}
        self.hold(st.session_state.get("study.looked", ()))


page = StudyPage(
    "study",
    {
        **dict.fromkeys(LISTS, ()),
        "folder": "",
        "tab": "overview",
        "similarity": "rbo",
        "outcome": "all",
        "same": "",
    },
)
