"""Models from the user's own checkpoints: read safely, recognised by their tensors, loaded."""
