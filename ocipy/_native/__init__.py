"""What is compiled: the extension module `_shim` and the program `ocipy-init`; see ocipy.sys."""
