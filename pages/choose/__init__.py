"""Choosing pictures, models, layers, methods and noise."""
