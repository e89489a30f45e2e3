"""What the operator is told at start: flags and environment -> one frozen value."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from controller.leader_lease import Durations


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a deployment can choose."""

    namespaces: tuple[str, ...] = ()
    """Namespaces to watch; none means all."""
    kubeconfig: str | None = None
    """Path of a kubeconfig; None means the pod's own service account."""
    metrics_port: int = 8080
    """Port of /metrics; 0 switches it off."""
    probe_port: int = 8081
    """Port of /healthz and /readyz; 0 switches them off."""
    workers: int = 4
    """Reconciles at a time, for each kind."""
    reconcile_timeout_s: float = 120.0
    """Longest time of one reconcile."""
    log_format: Literal["json", "console"] = "json"
    """`json`, or `console` for people."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    identity: str = "rocketmq-operator"
    """Name of this process in Events, in requests and in the Lease: the pod's name."""
    leader_elect: bool | None = None
    """Whether only the holder of a Lease acts; None: in a pod, or with a namespace for it."""
    lease_namespace: str = ""
    """Namespace of the Lease; "": the pod's own."""
    durations: Durations = Durations()
    """How long the Lease is good for, and how often it is renewed."""


def settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings of a command line; the environment gives the defaults.

    Raises SystemExit with a usage message for arguments that make no sense.
    """
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="rocketmq-operator", description="Kubernetes operator for Apache RocketMQ"
    )
    parser.add_argument(
        "--watch-namespaces",
        default=environment.get("WATCH_NAMESPACE", ""),
        help="comma-separated namespaces to watch; empty: all (env WATCH_NAMESPACE)",
    )
    parser.add_argument(
        "--kubeconfig",
        default=environment.get("KUBECONFIG"),
        help="kubeconfig file; without it the pod's service account is used (env KUBECONFIG)",
    )
    parser.add_argument("--metrics-port", type=int, default=defaults.metrics_port)
    parser.add_argument("--probe-port", type=int, default=defaults.probe_port)
    parser.add_argument("--workers", type=_positive, default=defaults.workers)
    parser.add_argument(
        "--reconcile-timeout", type=float, default=defaults.reconcile_timeout_s, metavar="SECONDS"
    )
    parser.add_argument("--log-format", choices=("json", "console"), default=defaults.log_format)
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default=defaults.log_level
    )
    _add_election(parser, environment)
    parsed = parser.parse_args(arguments)
    return Settings(
        namespaces=_namespaces(parsed.watch_namespaces),
        kubeconfig=parsed.kubeconfig or None,
        metrics_port=parsed.metrics_port,
        probe_port=parsed.probe_port,
        workers=parsed.workers,
        reconcile_timeout_s=parsed.reconcile_timeout,
        log_format=parsed.log_format,
        log_level=parsed.log_level,
        identity=environment.get("POD_NAME", defaults.identity),
        leader_elect=parsed.leader_elect,
        lease_namespace=parsed.lease_namespace,
        durations=_durations(parser, parsed),
    )


def _add_election(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """The flags of the election; three are called as those of Kubernetes' own components."""
    defaults = Durations()
    parser.add_argument(
        "--leader-elect",
        action=argparse.BooleanOptionalAction,
        help="act only as the holder of a Lease; default: in a pod, or with --lease-namespace",
    )
    parser.add_argument(
        "--lease-namespace",
        default=environment.get("POD_NAMESPACE", ""),
        help="namespace of the Lease (env POD_NAMESPACE); empty: the pod's own",
    )
    for flag, kind, default in (
        ("lease-duration", int, defaults.lease_s),
        ("renew-deadline", float, defaults.renew_s),
        ("retry-period", float, defaults.retry_s),
    ):
        parser.add_argument(f"--leader-elect-{flag}", type=kind, default=default, metavar="SECONDS")


def _durations(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> Durations:
    try:
        return Durations(
            lease_s=parsed.leader_elect_lease_duration,
            renew_s=parsed.leader_elect_renew_deadline,
            retry_s=parsed.leader_elect_retry_period,
        )
    except ValueError as error:
        parser.error(f"--leader-elect-...: {error}")


def _namespaces(text: str) -> tuple[str, ...]:
    return tuple(sorted({name.strip() for name in text.split(",") if name.strip()}))


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
