"""The state of a page: its choices in the session, its link in the address bar, its notices."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

_PAGE = "address.page"  # session key of the page that ran last


class Choices:
    """Named choices whose session keys are also the keys of their widgets.

    Streamlit forgets the value of a widget that a run does not draw; ``chosen`` and ``hold`` remember it.

    Every request of a browser carries the values of all widgets as it knows them. A request that it sent before it saw
    a value that the server had set would undo that value. So a value that the server sets moves its widget to a new key
    (``put``): what a browser reports under the old one no longer counts.
    """

    def __init__(self, prefix: str, defaults: Mapping[str, Any]) -> None:
        self.prefix = prefix
        self.defaults = dict(defaults)

    def key(self, name: str) -> str:
        """Return the session key of a choice, which is also the key of its widget; ``put`` may change it."""
        version = self._versions.get(name)
        return f"{self.prefix}.{name}.{version}" if version else f"{self.prefix}.{name}"

    @property
    def _versions(self) -> dict[str, int]:
        found: dict[str, int] = st.session_state.setdefault(f"{self.prefix}.versions", {})
        return found

    def put(self, name: str, value: Any) -> None:
        """Set a widget's value; only in a callback or before the widget is drawn."""
        if st.session_state.get(self.key(name)) not in (None, value):  # None: nothing that a browser could report
            self._versions[name] = self._versions.get(name, 0) + 1
        st.session_state[self.key(name)] = value

    def when(self, name: str, act: Callable[[], object]) -> Callable[[], None]:
        """Return a widget's callback that acts unless the server has set the widget since it was drawn."""
        drawn = self.key(name)

        def called() -> None:
            if drawn == self.key(name):
                act()

        return called

    @property
    def _kept(self) -> dict[str, Any]:
        found: dict[str, Any] = st.session_state.setdefault(self.key("chosen"), {})
        return found

    def chosen(self, name: str) -> Any:
        """Return the widget's value, else the last choice, else the default."""
        value = st.session_state.get(self.key(name))
        if value is not None:
            self._kept[name] = value
        value = self._kept.get(name)
        return self.defaults[name] if value is None else value

    def choose(self, name: str, value: Any) -> None:
        """Set a choice and its widget; only in a callback or before the widget is drawn."""
        self.put(name, value)
        self._kept[name] = value

    def hold(self, more: Iterable[str] = ()) -> None:
        """Keep all choices, and those named ``more``, through runs and pages that do not draw their widgets."""
        for name in (*self.defaults, *more):
            full = self.key(name)
            if full in st.session_state:
                st.session_state[full] = self._kept[name] = st.session_state[full]
            elif name in self._kept:
                st.session_state[full] = self._kept[name]


class PageState(Choices, ABC):
    """The state of one page and its link; each page with a link has one instance.

    ``page`` is its name in the address and the prefix of its session keys.
    """

    def __init__(self, page: str, defaults: Mapping[str, Any] | None = None) -> None:
        super().__init__(page, defaults or {})

    @abstractmethod
    def link(self) -> dict[str, str]:
        """Return the parameters of the link to what the page shows."""

    @abstractmethod
    def take(self, link: dict[str, str]) -> Sequence[str]:
        """Set the choices from a link; return one sentence for each unusable part."""

    def restore(self, returned: bool) -> None:
        """Prepare a run without a new link: fill the widgets that Streamlit has forgotten.

        ``returned``: the visitor comes back from another page.
        """
        self.hold()

    def adopt(self) -> None:
        """Take over the link in the address bar unless this session wrote it; before any widget is drawn."""
        st.session_state.pop("rerun", None)  # this is the run that a callback requested
        returned = st.session_state.get(_PAGE) not in (None, self.prefix)
        st.session_state[_PAGE] = self.prefix
        link = self._asked(returned)
        if link is None:
            self.restore(returned)
            return
        st.session_state.update({self.key("notices"): [], self.key("notices.link"): None})
        self.say(self.take(link))
        st.session_state[self.key("link")] = link

    def write(self) -> None:
        """Put the link to what the page shows into the address bar."""
        link = self.link()
        last: dict[str, str] = st.session_state.get(self.key("link"), {})
        if link == last:
            return
        st.query_params.from_dict(link)
        st.session_state[self.key("link")] = link

    def say(self, problems: Sequence[str]) -> None:
        """Add notices to those that the page has not shown yet; they stay on it until the next choice."""
        if problems:
            unseen = self._notices if st.session_state.get(self.key("notices.link")) is None else []
            st.session_state[self.key("notices")] = list(dict.fromkeys([*unseen, *problems]))
            st.session_state[self.key("notices.link")] = None

    @property
    def _notices(self) -> list[str]:
        found: list[str] = st.session_state.setdefault(self.key("notices"), [])
        return found

    def notices(self) -> list[str]:
        """Return the sentences that belong to what the page shows now."""
        about = st.session_state.get(self.key("notices.link"))
        if about is None:
            st.session_state[self.key("notices.link")] = self.link()
        elif about != self.link():
            st.session_state[self.key("notices")] = []
        return self._notices

    def _asked(self, returned: bool) -> dict[str, str] | None:
        """Return the link to take over; None if this session keeps its own.

        A link counts when a session begins, when it leads to the page from another one, and when the visitor goes back
        or forward. Any other is older than the page: the browser sent it before it saw the link that the page wrote.
        """
        link = {name: str(value) for name, value in st.query_params.items()}
        last: dict[str, str] | None = st.session_state.get(self.key("link"))
        if last is None or link == last:
            return link if last is None else None
        if went_back_or_forward() or (returned and link):
            return link
        st.query_params.from_dict(last)
        return None


def index_in(options: Sequence[Any], key: str) -> int:
    """Return the place of a widget's value among its options, for ``index``; 0 if it is none of them.

    A widget whose value is in the session must be drawn with the same value: the order to show it comes with one run
    only, and a browser that mounts the widget after the next one shows, and reports, what it was drawn with.
    """
    value = st.session_state.get(key)
    return options.index(value) if value in options else 0


def among(options: Sequence[Any], key: str) -> list[Any]:
    """Return the values of a widget with several, those that are among its options, for ``default``; see `index_in`."""
    return [value for value in st.session_state.get(key) or () if value in options]


def went_back_or_forward() -> bool:
    """Return whether the visitor has pressed the browser's Back or Forward."""
    context = get_script_run_ctx(suppress_warning=True)
    return context is not None and context.is_history_navigation
