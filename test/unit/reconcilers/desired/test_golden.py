"""The desired objects of every sample that has some, as YAML: a review sees what changes in them.

`GOLDEN=write pytest test/unit/reconcilers/desired/test_golden.py` writes the files anew. From the
first release on a pod template of a published `podTemplateRevision` must not change any more.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from reconcilers.api.broker import Broker
from reconcilers.api.kube import Pod
from reconcilers.api.name_service import NameService
from reconcilers.api.validation import problems
from reconcilers.desired import broker as broker_children
from reconcilers.desired import name_service as name_service_children
from reconcilers.desired.name_servers import name_servers
from reconcilers.desired.names import COMMON_CONFIG_FILE, name_server_pod_labels
from reconcilers.facts import BrokerFacts, NameServers

ROOT = Path(__file__).resolve().parents[4]
GOLDEN = ROOT / "test/unit/golden"
OWNS_NOTHING = "topictransfer"
INPUTS = [
    *(
        path
        for path in sorted((ROOT / "config/samples").glob("*.yaml"))
        if OWNS_NOTHING not in path.stem
    ),
    *(path for path in sorted((GOLDEN / "inputs").glob("*.yaml")) if path.stem != "refused"),
]


class Dumper(yaml.SafeDumper):
    """Several lines as a block, and no aliases: each object stands for itself."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, _text)


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def converted(document: dict[str, Any], kind: type[Any]) -> Any:
    metadata = {"namespace": "default", "uid": "0", **document["metadata"]}
    return msgspec.convert({**document, "metadata": metadata}, kind)


def host_pods(services: list[NameService]) -> list[Pod]:
    return [
        msgspec.convert(
            {
                "metadata": {
                    "name": f"{ns.metadata.name}-{ordinal}",
                    "namespace": "default",
                    "labels": name_server_pod_labels(ns.metadata.name),
                },
                "status": {"hostIP": f"192.168.130.{33 + ordinal}"},
            },
            Pod,
        )
        for ns in services
        for ordinal in range(ns.spec.size)
    ]


def rendered(path: Path) -> str:
    everything = documents(path)
    config = {d["metadata"]["name"]: d["data"] for d in everything if d["kind"] == "ConfigMap"}
    services = [converted(d, NameService) for d in everything if d["kind"] == "NameService"]
    brokers = [converted(d, Broker) for d in everything if d["kind"] == "Broker"]
    children = [one for ns in services for one in name_service_children.desired(ns, ns.spec.size)]
    for cr in brokers:
        found = name_servers(cr, services, host_pods(services))
        if not isinstance(found, NameServers):
            found = NameServers(
                addresses=("name-service-0.name-service-headless.default.svc:9876",)
            )
        volume = cr.spec.volumes[0].get("configMap", {}).get("name") if cr.spec.volumes else None
        facts = BrokerFacts(
            name_servers=found, common_config=config.get(volume, {}).get(COMMON_CONFIG_FILE)
        )
        children += broker_children.desired(cr, facts) or []
    shown = [{"kind": one.resource.kind, **_without_scripts(one.manifest)} for one in children]
    return yaml.dump_all(shown, Dumper=Dumper, sort_keys=False, width=100)


def _without_scripts(manifest: dict[str, Any]) -> dict[str, Any]:
    if "data" not in manifest:
        return manifest
    data = {
        name: "(the script)" if name.endswith(".sh") else text
        for name, text in manifest["data"].items()
    }
    return {**manifest, "data": data}


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_the_desired_objects_of_a_sample_are_those_in_the_golden_file(path: Path) -> None:
    golden = GOLDEN / f"{path.stem}.yaml"
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(rendered(path))
    assert rendered(path) == golden.read_text()


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_every_sample_can_be_acted_upon(path: Path) -> None:
    kinds = {"NameService": NameService, "Broker": Broker}
    crs = [converted(d, kinds[d["kind"]]) for d in documents(path) if d["kind"] in kinds]
    assert crs
    assert [problems(cr) for cr in crs] == [()] * len(crs)


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == {path.stem for path in INPUTS}
