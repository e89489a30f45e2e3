"""Writes kubeconfig files; they are JSON, which every YAML reader takes."""

import base64
import json
from pathlib import Path


def render_kubeconfig(server: str, user: str, pems: dict[str, bytes]) -> str:
    """Return a kubeconfig with the authority and the pair of `pems` (ca, crt, key) inside."""
    data = {name: base64.b64encode(pem).decode() for name, pem in pems.items()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": user,
        "clusters": [
            {
                "name": "cluster",
                "cluster": {"server": server, "certificate-authority-data": data["ca"]},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": data["crt"], "client-key-data": data["key"]},
            }
        ],
        "contexts": [
            {
                "name": user,
                "context": {"cluster": "cluster", "user": user, "namespace": "default"},
            }
        ],
    }
    return json.dumps(config, indent=2) + "\n"


def write_kubeconfig(target: Path, server: str, keys: Path, identity: str) -> None:
    """Write a kubeconfig for one identity, readable by its owner alone."""
    files = {"ca": "ca.crt", "crt": f"{identity}.crt", "key": f"{identity}.key"}
    pems = {name: (keys / file).read_bytes() for name, file in files.items()}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(render_kubeconfig(server, identity, pems), encoding="utf-8")
