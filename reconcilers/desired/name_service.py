"""What a NameService should have in the cluster. Pure: equal input gives equal output."""

from __future__ import annotations

from controller.objects import Desired
from reconcilers.api.name_service import NameService
from reconcilers.desired import names
from reconcilers.desired.files import name_server_config_hash, name_server_files
from reconcilers.desired.pods import Server, stateful_set
from reconcilers.desired.probes import name_server_probes
from reconcilers.desired.services import (
    client_service,
    config_map,
    disruption_budget,
    head,
    headless_service,
)
from reconcilers.desired.storage import name_server_storage

_PORTS = {"main": names.NAME_SERVER_PORT}


def desired(cr: NameService, replicas: int) -> list[Desired]:
    """The children, in the order in which they are applied: what pods need comes before them.

    `replicas` may be more than spec.size while brokers still use a name server that is to leave.

    `cr` has no problems (`validation.problems`, `java.memory_problem`).
    """
    name = cr.metadata.name
    labels = names.labels(names.NAME_SERVER_COMPONENT, name)
    selector = names.selector(names.NAME_SERVER_COMPONENT, name)
    config = names.name_server_config(name)
    headless = names.name_server_headless(name)
    return [
        headless_service(head(cr.metadata, headless, labels), selector, _PORTS),
        client_service(head(cr.metadata, name, labels), selector, _PORTS),
        config_map(head(cr.metadata, config, labels), name_server_files(cr)),
        disruption_budget(head(cr.metadata, config, labels), selector),
        stateful_set(
            head(cr.metadata, name, labels),
            cr.spec,
            _server(cr),
            replicas=replicas,
            service=headless,
            selector=selector,
        ),
    ]


def _server(cr: NameService) -> Server:
    name = cr.metadata.name
    start = f"{names.CONFIG_DIRECTORY}/start-name-server.sh"
    return Server(
        role="name-server",
        container=names.NAME_SERVER_CONTAINER,
        image=cr.spec.name_service_image,
        command=("bash", start, names.CONFIG_DIRECTORY, names.RUN_DIRECTORY),
        ports=_PORTS,
        pod_fields=("POD_NAME",),
        environment={},
        config_map=names.name_server_config(name),
        config_hash=name_server_config_hash(cr),
        storage=name_server_storage(cr.spec, name),
        probes=name_server_probes(),
        dns_policy=cr.spec.dns_policy or "",
        labels=names.name_server_pod_labels(name),
        spread=names.selector(names.NAME_SERVER_COMPONENT, name),
    )
