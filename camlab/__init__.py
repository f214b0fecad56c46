"""CAM Lab: how class activation maps of image classifiers react when images get noisy."""

__version__ = "0.2.0"
