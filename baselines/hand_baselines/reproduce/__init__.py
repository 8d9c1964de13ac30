"""The papers' comparisons, run again on HandSim: tables, and what follows from them."""
