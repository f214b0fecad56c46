"""One picture, one model, one method, one noise: state, scene, sweep of severities, and what they show."""
