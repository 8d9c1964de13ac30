"""RootNet: the absolute depth of the wrists from one crop (Moon et al., ICCV 2019)."""
