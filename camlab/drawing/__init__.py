"""Shared drawing code of pictures, HTML, slides, charts and reports."""
