"""Charts of a study, from its rows and from its summary records."""
