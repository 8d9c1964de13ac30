"""How the shipped weights are made, as values, and the runner that makes them again."""
