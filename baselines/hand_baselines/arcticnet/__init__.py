"""ArcticNet-SF: both hands from the whole picture."""
