"""Registry: an ordered mapping from names to entries, in which every name is unique."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from camlab.common.errors import UnknownName

T = TypeVar("T")
F = TypeVar("F")


class Registry(Mapping[str, T]):
    """Ordered mapping from a name to its entry; ``kind`` names the entries in error messages."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> T:
        """Add one entry and return it. Raises ValueError if the name is taken."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry
        return entry

    def adding(self, name: str, make: Callable[[F], T]) -> Callable[[F], F]:
        """Return a decorator that adds the entry that ``make`` returns for the decorated object."""

        def register(decorated: F) -> F:
            self.add(name, make(decorated))
            return decorated

        return register

    def __getitem__(self, name: str) -> T:
        """Return the entry. Raises UnknownName, with the nearest names, if there is none."""
        try:
            return self._entries[name]
        except KeyError:
            near = difflib.get_close_matches(str(name), self._entries, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose one of: {', '.join(self._entries)}."
            raise UnknownName(f"There is no {self.kind} called {str(name)[:60]!r}; {hint}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
