"""Programs that use ocipy as a library; README.md says what each is for."""
