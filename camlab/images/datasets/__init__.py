"""Well-known data sets: which there are, their download, and reading them once they are unpacked."""
