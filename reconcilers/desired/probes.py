"""How the kubelet judges a server. Pure.

Ready is what scripts/probe.sh says. Alive is an open port, with two minutes of patience: a broker
that stops answering for a while is better off than one that recovers its store. A start may take
half an hour, for that is what the recovery of a large store after a crash takes.
"""

from __future__ import annotations

from controller.objects import Manifest
from reconcilers.desired import names

Probes = dict[str, Manifest]
"""The three probes of a container, by the name of their field."""


def name_server_probes() -> Probes:
    """Probes of a name server."""
    return _probes(names.NAME_SERVER_PORT, ("name-server",), start_s=300)


def broker_probes() -> Probes:
    """Probes of a broker."""
    conf = f"{names.RUN_DIRECTORY}/broker.conf"
    return _probes(names.BROKER_PORT, ("broker", conf), start_s=1800)


def _probes(port: int, arguments: tuple[str, ...], *, start_s: int) -> Probes:
    ask = {"exec": {"command": ["bash", f"{names.CONFIG_DIRECTORY}/probe.sh", *arguments]}}
    connect = {"tcpSocket": {"port": port}}
    return {
        "startupProbe": {
            **connect,
            "periodSeconds": 3,
            "timeoutSeconds": 3,
            "failureThreshold": start_s // 3,
        },
        "readinessProbe": {
            **ask,
            "periodSeconds": 10,
            # More than the probe's own limits (scripts/probe.sh), so that it can say what is wrong.
            "timeoutSeconds": 8,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            **connect,
            "periodSeconds": 15,
            "timeoutSeconds": 5,
            "failureThreshold": 8,
        },
    }
