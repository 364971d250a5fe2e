"""Images for containerd, made here from busybox: an OCI image layout in one tar archive."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from typing import Any

_MEDIA = "application/vnd.oci.image"


def write_archive(path: str, name: str, rootfs: str, config: dict[str, Any]) -> None:
    """Write an image of one layer to the new file `path`.

    `name` is the full reference, `config` what the image says of its process
    (https://github.com/opencontainers/image-spec/blob/main/config.md).
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.add(rootfs, arcname=".")
    blobs: dict[str, bytes] = {}

    def add(content: bytes, kind: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        blobs[digest] = content
        return {"mediaType": f"{_MEDIA}.{kind}", "digest": digest, "size": len(content)}

    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    layer_entry = add(layer.getvalue(), "layer.v1.tar")
    about = {
        "architecture": architecture,
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer_entry["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA}.manifest.v1+json",
        "config": add(json.dumps(about).encode(), "config.v1+json"),
        "layers": [layer_entry],
    }
    entry = add(json.dumps(manifest).encode(), "manifest.v1+json")
    entry["annotations"] = {"io.containerd.image.name": name}
    entry["platform"] = {"architecture": architecture, "os": "linux"}
    files = {f"blobs/{digest.replace(':', '/')}": content for digest, content in blobs.items()}
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    with tarfile.open(path, "w") as archive:
        for member, content in files.items():
            about_file = tarfile.TarInfo(member)
            about_file.size = len(content)
            archive.addfile(about_file, io.BytesIO(content))
