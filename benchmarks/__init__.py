"""Measurements and makers: benchmarks, pictures and tables of the docs, families of models."""
