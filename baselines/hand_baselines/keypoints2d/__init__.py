"""2D + Triangulation: the joints of a hand in every view, and from there in the world."""
