"""What is compiled: modules `_calls`, `_shim`, program `ocipy-init`, the pack; see ocipy.sys."""
