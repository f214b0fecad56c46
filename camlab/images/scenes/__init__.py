"""ShapeScenes: generated pictures with exact labels and outlines."""
