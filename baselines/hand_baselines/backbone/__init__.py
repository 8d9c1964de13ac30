"""Backbones trained on HandSim, for the other models to start from."""
