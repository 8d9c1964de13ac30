"""MS-G3D: verbs from hand poses (Liu et al., CVPR 2020; AssemblyHands, CVPR 2023, section 5)."""
