"""A detector of hands: the box of the right and of the left hand in a whole picture."""
