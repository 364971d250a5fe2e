"""The kernel, as Python sees it: constants, descriptors, and the C shim."""
