"""What a study's rows say: summaries, filters, striking pairs, the paper's table."""
