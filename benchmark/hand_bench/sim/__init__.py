"""HandSim: a procedural, seeded, licence-free world of hands, objects, cameras and pictures."""
