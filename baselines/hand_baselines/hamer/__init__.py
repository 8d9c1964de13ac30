"""HaMeR: a hand from one crop by a large transformer (Pavlakos et al., CVPR 2024)."""
