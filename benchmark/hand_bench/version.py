"""The version of hand-bench; written here by hand because looking it up costs 70 ms."""

__version__ = "0.1.0"
