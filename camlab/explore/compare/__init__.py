"""The grid of Compare: cells, their values, figure and report."""
