"""Well-known data sets: their catalogue, download and reading."""
