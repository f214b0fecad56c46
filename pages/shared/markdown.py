"""Text for Streamlit's Markdown."""

_SPECIAL = frozenset("\\`*_{}[]<>()#+-.!|~$:&")


def plain(text: str) -> str:
    """Text in which no character has a meaning of its own in Markdown."""
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in text)
