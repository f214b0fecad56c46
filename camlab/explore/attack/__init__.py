"""The explanation attack: move the map while the prediction stays."""
