"""SVEgoNet: 3D hand pose from one egocentric grey picture (Ohkawa et al., CVPR 2023)."""
