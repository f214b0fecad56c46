"""The result cache: memory in front of a database on disk, and its upkeep."""
