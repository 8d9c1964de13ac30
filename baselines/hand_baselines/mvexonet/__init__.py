"""MVExoNet: hands in the world from any number of calibrated views."""
