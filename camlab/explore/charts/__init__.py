"""Charts of one scene: the severity curve, draws, and the trials."""
