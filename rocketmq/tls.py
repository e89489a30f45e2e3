"""TLS as a client of RocketMQ: which servers to believe, and who we are.

The servers send no names of their own choosing (routes carry addresses), so certificates that hold
every pod's address are rare; Java's clients check the chain alone. Each way has its name here and
none is chosen silently.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal

import msgspec

Verification = Literal["full", "chain", "off"]
"""`full`: chain and name; `chain`: chain alone; `off`: anybody, as test-mode certificates need."""


class ClientCertificate(msgspec.Struct, frozen=True):
    """What a server that asks is shown: PEM files; the password is not printed."""

    certificate_file: Path
    key_file: Path
    key_password: str | None = None

    def __repr__(self) -> str:
        return f"ClientCertificate({str(self.certificate_file)!r}, {str(self.key_file)!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("certificate_file", str(self.certificate_file)), ("key_file", str(self.key_file))]


def client_context(
    *,
    ca_file: Path | None = None,
    certificate: ClientCertificate | None = None,
    verification: Verification = "full",
) -> ssl.SSLContext:
    """A context that believes the authorities of `ca_file`, or the system's own without one.

    Raises OSError (ssl.SSLError among them) when a file cannot be read or does not fit.
    """
    context = ssl.create_default_context(cafile=ca_file)
    if verification != "full":
        context.check_hostname = False
    if verification == "off":
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(
            certificate.certificate_file,
            certificate.key_file,
            # Without a password OpenSSL would ask on the terminal for that of an encrypted key.
            password=certificate.key_password or "",
        )
    return context
