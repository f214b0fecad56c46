"""The compute core: perturbed pictures in, low-resolution maps and predictions out, batched and cached."""
