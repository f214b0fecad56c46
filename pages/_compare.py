"""The address /compare on a server that has not run ``app.py`` yet."""

from pages.shared.navigation import enter

enter()
