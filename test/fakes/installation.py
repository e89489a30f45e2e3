"""What manifests/ installs before an operator can start: CRDs, an account and its rights."""

from __future__ import annotations

from pathlib import Path

import yaml

from fakes.control_plane import ROOT
from fakes.waiting import eventually
from fakes.witness import Object, Refused, Witness

ACCOUNT = "rocketmq-operator"
OPERATOR = f"system:serviceaccount:{ACCOUNT}:{ACCOUNT}"
"""The user that the audit log shows for the operator."""
TOKEN_LIFE_S = 7200


def crds() -> list[Object]:
    """The manifests of the CRDs."""
    paths = sorted((ROOT / "manifests" / "crds").glob("rocketmq.apache.org_*.yaml"))
    return [_document(path) for path in paths]


def rights(file: str) -> Object:
    """One of the manifests of the operator's rights."""
    return _document(ROOT / "manifests" / "rbac" / file)


def install_crds(witness: Witness) -> None:
    """Apply the CRDs and wait until they are served."""
    names = [witness.apply(crd)["metadata"]["name"] for crd in crds()]
    for name in names:
        eventually(lambda name=name: _assert_served(witness, name))


def remove_crds(witness: Witness) -> None:
    """Delete the CRDs, and with them all custom resources; wait until they are gone."""
    names = [crd["metadata"]["name"] for crd in crds()]
    for name in names:
        witness.delete("CustomResourceDefinition", "", name)
    for name in names:
        eventually(lambda name=name: _assert_gone(witness, name))


def operator_token(witness: Witness) -> str:
    """A token of the operator's account, which has the rights of manifests/rbac and no others."""
    core = {"apiVersion": "v1", "metadata": {"name": ACCOUNT}}
    account = {"name": ACCOUNT, "namespace": ACCOUNT}
    witness.apply({**core, "kind": "Namespace"})
    witness.apply({**core, "kind": "ServiceAccount", "metadata": account})
    witness.apply(rights("role.yaml"))
    witness.apply(rights("role_binding.yaml"))
    for file in ("leader_election_role.yaml", "leader_election_role_binding.yaml"):
        manifest = rights(file)
        manifest["metadata"]["namespace"] = ACCOUNT
        witness.apply(manifest)
    return token(witness, ACCOUNT, ACCOUNT)


def token(witness: Witness, namespace: str, account: str) -> str:
    """A token of a ServiceAccount."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    kind = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
    request = {**kind, "spec": {"expirationSeconds": TOKEN_LIFE_S}}
    return str(witness.request("POST", path, body=request)["status"]["token"])


def _document(path: Path) -> Object:
    document: Object = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def _assert_served(witness: Witness, name: str) -> None:
    crd = witness.get("CustomResourceDefinition", "", name)
    conditions = {one["type"]: one["status"] for one in crd["status"]["conditions"] or ()}
    assert conditions.get("Established") == "True", f"{name}: {conditions}"
    group, version = crd["spec"]["group"], crd["spec"]["versions"][0]["name"]
    try:
        served = witness.request("GET", f"/apis/{group}/{version}")["resources"]
    except Refused as refused:
        raise AssertionError(f"{name}: {refused}") from refused
    assert crd["spec"]["names"]["plural"] in {one["name"] for one in served}


def _assert_gone(witness: Witness, name: str) -> None:
    assert witness.find("CustomResourceDefinition", "", name) is None
