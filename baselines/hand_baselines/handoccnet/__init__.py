"""HandOccNet: a hand from one crop; what is hidden borrows from what is seen (CVPR 2022)."""
