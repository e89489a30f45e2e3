"""The API server as a test sees it: the official client's transport, plain JSON objects.

It shares no line with the operator's own client, so that it can bear witness about it. Objects stay
plain dictionaries: a test compares what the server says, not what a model makes of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from kubernetes import client, config

Object = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
REQUEST_TIMEOUT_S = 15.0

_ROCKETMQ = "apis/rocketmq.apache.org/v1alpha1"
_PLURALS: Mapping[str, tuple[str, str]] = {
    "Broker": (_ROCKETMQ, "brokers"),
    "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "ConfigMap": ("api/v1", "configmaps"),
    "CustomResourceDefinition": ("apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "Event": ("apis/events.k8s.io/v1", "events"),
    "Lease": ("apis/coordination.k8s.io/v1", "leases"),
    "NameService": (_ROCKETMQ, "nameservices"),
    "Namespace": ("api/v1", "namespaces"),
    "Node": ("api/v1", "nodes"),
    "PersistentVolumeClaim": ("api/v1", "persistentvolumeclaims"),
    "PersistentVolume": ("api/v1", "persistentvolumes"),
    "Pod": ("api/v1", "pods"),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    "Role": ("apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "Secret": ("api/v1", "secrets"),
    "Service": ("api/v1", "services"),
    "ServiceAccount": ("api/v1", "serviceaccounts"),
    "StatefulSet": ("apis/apps/v1", "statefulsets"),
    "StorageClass": ("apis/storage.k8s.io/v1", "storageclasses"),
    "TopicTransfer": (_ROCKETMQ, "topictransfers"),
}


class Refused(Exception):  # noqa: N818 - an answer, expected by the tests that look for it
    """The API server refused: HTTP status and its own sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


def api_client(kubeconfig: str | Path, agent: str) -> client.ApiClient:
    """A client of the official library whose requests the audit log shows under this agent."""
    api = config.new_client_from_config(str(kubeconfig))
    api.user_agent = agent
    return api


def path_of(kind: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL path of a collection, an object or a subresource."""
    prefix, plural = _PLURALS[kind]
    parts = ["", prefix]
    parts += ["namespaces", namespace] if namespace else []
    parts += [part for part in (plural, name, subresource) if part]
    return "/".join(parts)


class Witness:
    """Reads and writes objects by kind, namespace and name; raises `Refused`."""

    def __init__(self, kubeconfig: str | Path, agent: str = "witness") -> None:
        self._client = api_client(kubeconfig, agent)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """One object; an absent one is an AssertionError, so that `eventually` can wait for it."""
        found = self.find(kind, namespace, name)
        assert found is not None, f"no {kind} {namespace}/{name}"
        return found

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        try:
            return self.request("GET", path_of(kind, namespace, name))
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    def list(self, kind: str, namespace: str = "") -> list[Object]:
        """All objects of a kind, in one namespace or in all."""
        items: list[Object] = self.request("GET", path_of(kind, namespace))["items"]
        return items

    def create(self, manifest: Object) -> Object:
        """Create an object that must not be there yet."""
        return self.request("POST", _collection(manifest), body=manifest)

    def apply(self, manifest: Object, *, manager: str = "witness") -> Object:
        """Server-side apply with force, as `kubectl apply --server-side --force-conflicts` does."""
        metadata = manifest["metadata"]
        path = path_of(manifest["kind"], metadata.get("namespace", ""), metadata["name"])
        query = {"fieldManager": manager, "force": "true"}
        return self.request("PATCH", path, query=query, body=manifest, content_type=APPLY_PATCH)

    def patch(self, kind: str, namespace: str, name: str, changes: Object) -> Object:
        """Merge patch."""
        path = path_of(kind, namespace, name)
        return self.request("PATCH", path, body=changes, content_type=MERGE_PATCH)

    def delete(self, kind: str, namespace: str, name: str, **options: object) -> None:
        """Delete in the background; an object that is gone already is no error."""
        body: Object = {"propagationPolicy": "Background", **options}
        try:
            self.request("DELETE", path_of(kind, namespace, name), body=body)
        except Refused as refused:
            if refused.status != 404:
                raise

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """Any request; returns the decoded answer."""
        prepared = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        answer = self._client.call_api(*prepared, _request_timeout=REQUEST_TIMEOUT_S)
        text = answer.read()
        if not 200 <= answer.status <= 299:
            raise Refused(answer.status, _message(text))
        decoded: Object = json.loads(text)
        return decoded


class Place(msgspec.Struct, frozen=True):
    """One namespace of the cluster, the subject of one test."""

    witness: Witness
    name: str
    kubectl: Callable[..., str]
    """Runs kubectl with these arguments in this namespace and returns what it printed."""

    def get(self, kind: str, name: str) -> Object:
        """One object of this namespace."""
        return self.witness.get(kind, self.name, name)

    def find(self, kind: str, name: str) -> Object | None:
        """One object of this namespace, or None."""
        return self.witness.find(kind, self.name, name)

    def list(self, kind: str) -> list[Object]:
        """All objects of a kind here."""
        return self.witness.list(kind, self.name)

    def names(self, kind: str) -> set[str]:
        """The names of all objects of a kind here."""
        return {item["metadata"]["name"] for item in self.list(kind)}

    def create(self, manifest: Object) -> Object:
        """Create an object here."""
        return self.witness.create(self._here(manifest))

    def apply(self, manifest: Object, *, manager: str = "witness") -> Object:
        """Server-side apply an object here."""
        return self.witness.apply(self._here(manifest), manager=manager)

    def patch(self, kind: str, name: str, changes: Object) -> Object:
        """Merge-patch an object here."""
        return self.witness.patch(kind, self.name, name, changes)

    def delete(self, kind: str, name: str, **options: object) -> None:
        """Delete an object here."""
        self.witness.delete(kind, self.name, name, **options)

    def _here(self, manifest: Object) -> Object:
        return {**manifest, "metadata": {**manifest["metadata"], "namespace": self.name}}


def _collection(manifest: Object) -> str:
    return path_of(manifest["kind"], manifest["metadata"].get("namespace", ""))


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.decode("utf-8", "replace")
