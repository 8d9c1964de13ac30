"""Writers of licence-free trees in the official layout of each dataset."""
