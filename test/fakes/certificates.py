"""Throw-away certificates for tests of TLS: an authority, and what it or nobody signed."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """Signs certificates into `folder`; its own is `certificate_file`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self.certificate_file = folder / f"{name}.crt"
        self._key_file = folder / f"{name}.key"
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "2", "-subj", f"/CN={name}",
            "-keyout", self._key_file, "-out", self.certificate_file,
        )  # fmt: skip

    def issue(self, name: str, *, alternative: str, password: str = "") -> tuple[Path, Path]:
        """Certificate and key files of a holder with this subject alternative name."""
        certificate, key = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        protection = ("-passout", f"pass:{password}") if password else ("-nodes",)
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", *protection,
            "-CA", self.certificate_file, "-CAkey", self._key_file,
            "-days", "2", "-subj", f"/CN={name}",
            "-addext", f"subjectAltName={alternative}",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-keyout", key, "-out", certificate,
        )  # fmt: skip
        return certificate, key


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(  # noqa: S603 - arguments of this file and of tests
        ["/usr/bin/env", "openssl", *map(str, arguments)], check=True, capture_output=True
    )
