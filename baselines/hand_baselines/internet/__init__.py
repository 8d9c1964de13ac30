"""InterNet: 3D pose of two interacting hands from one picture (Moon et al., ECCV 2020)."""
