"""Analysis of a study's rows: summaries, filters, values, striking pairs, the paper's table."""
