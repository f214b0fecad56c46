"""A classifier's network: split it at a layer, trace it, fold it, and locate its maps on the picture."""
