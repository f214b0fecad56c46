"""Exploring one picture with one model, method and noise type: state, scene, sweep, attack, trials, charts, output."""
