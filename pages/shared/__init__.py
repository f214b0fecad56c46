"""Shared code of the pages: session, link, dialogs, errors, background work."""
