"""The self-contained HTML report: its material, its sections and its file."""
