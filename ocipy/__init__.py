"""ocipy: an OCI container runtime that explains itself."""

from __future__ import annotations

__version__ = "0.1.0"
