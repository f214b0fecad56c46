"""The self-contained HTML report: its material and its file."""
