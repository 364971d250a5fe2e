"""What is compiled: the extension modules `_calls` and `_shim`, the program `ocipy-init`, and the pack; see ocipy.sys."""
