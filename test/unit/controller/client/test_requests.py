from __future__ import annotations

import msgspec
import pytest

from controller.client import requests
from controller.client.requests import HttpRequest, Selection
from controller.objects import ObjectRef, Resource

PODS = Resource("", "v1", "pods", "Pod")
BROKERS = Resource("rocketmq.apache.org", "v1alpha1", "brokers", "Broker")
BROKERS_PATH = "/apis/rocketmq.apache.org/v1alpha1/namespaces/shop/brokers"
BROKER = {
    "apiVersion": "rocketmq.apache.org/v1alpha1",
    "kind": "Broker",
    "metadata": {"namespace": "shop", "name": "orders"},
}


def test_a_list_from_the_watch_cache() -> None:
    assert requests.list_(Selection(PODS), resource_version="0") == HttpRequest(
        "GET", "/api/v1/pods", (("resourceVersion", "0"),)
    )


def test_a_quorum_list_in_pages_of_a_namespace_by_labels() -> None:
    selection = Selection(BROKERS, "shop", "app=rocketmq,tier in (a)")
    assert requests.list_(selection, limit=500) == HttpRequest(
        "GET", BROKERS_PATH, (("labelSelector", "app=rocketmq,tier in (a)"), ("limit", "500"))
    )


def test_the_next_page_names_no_version() -> None:
    assert requests.list_(Selection(PODS, "shop"), limit=500, continue_="abc=") == HttpRequest(
        "GET", "/api/v1/namespaces/shop/pods", (("limit", "500"), ("continue", "abc="))
    )


def test_a_watch_asks_for_bookmarks_and_an_end() -> None:
    assert requests.watch(
        Selection(PODS, None, "a=b"), resource_version="17", timeout_s=321
    ) == HttpRequest(
        "GET",
        "/api/v1/pods",
        (
            ("labelSelector", "a=b"),
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", "17"),
            ("timeoutSeconds", "321"),
        ),
    )


@pytest.mark.parametrize(
    ("ref", "path"),
    [
        (ObjectRef(PODS, "shop", "a"), "/api/v1/namespaces/shop/pods/a"),
        (ObjectRef(PODS, "", "a"), "/api/v1/pods/a"),
        (ObjectRef(BROKERS, "shop", "orders"), f"{BROKERS_PATH}/orders"),
        (ObjectRef(PODS, "shop", "a/../b?c#d"), "/api/v1/namespaces/shop/pods/a%2F..%2Fb%3Fc%23d"),
    ],
)
def test_a_get_names_the_object(ref: ObjectRef, path: str) -> None:
    assert requests.get(ref) == HttpRequest("GET", path)


@pytest.mark.parametrize(("subresource", "end"), [("", ""), ("status", "/status")])
def test_an_apply_forces_and_refuses_unknown_fields(subresource: str, end: str) -> None:
    request = requests.apply(BROKERS, BROKER, field_manager="operator", subresource=subresource)
    assert request == HttpRequest(
        "PATCH",
        f"{BROKERS_PATH}/orders{end}",
        (("fieldManager", "operator"), ("force", "true"), ("fieldValidation", "Strict")),
        (("Content-Type", "application/apply-patch+yaml"),),
        msgspec.json.encode(BROKER),
    )


def test_a_create_goes_to_the_collection_of_the_namespace() -> None:
    request = requests.create(BROKERS, BROKER, field_manager="operator")
    assert request == HttpRequest(
        "POST",
        BROKERS_PATH,
        (("fieldManager", "operator"), ("fieldValidation", "Strict")),
        (("Content-Type", "application/json"),),
        msgspec.json.encode(BROKER),
    )


@pytest.mark.parametrize(
    ("version", "preconditions"),
    [("", {"uid": "u-1"}), ("5", {"uid": "u-1", "resourceVersion": "5"})],
)
def test_a_delete_means_one_uid_and_leaves_dependants_to_the_background(
    version: str, preconditions: dict[str, str]
) -> None:
    ref = ObjectRef(BROKERS, "shop", "orders")
    request = requests.delete(ref, uid="u-1", resource_version=version)
    assert (request.method, request.path, request.query) == ("DELETE", f"{BROKERS_PATH}/orders", ())
    assert msgspec.json.decode(request.body or b"") == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": preconditions,
    }


def test_a_delete_may_orphan_the_dependants_and_set_the_grace_period() -> None:
    ref = ObjectRef(BROKERS, "shop", "orders")
    request = requests.delete(ref, uid="u-1", propagation="Orphan", grace_s=0)
    assert msgspec.json.decode(request.body or b"") == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Orphan",
        "preconditions": {"uid": "u-1"},
        "gracePeriodSeconds": 0,
    }


def test_an_eviction_means_one_uid() -> None:
    request = requests.evict(ObjectRef(PODS, "shop", "a"), uid="u-1")
    path = "/api/v1/namespaces/shop/pods/a/eviction"
    assert (request.method, request.path, request.query) == ("POST", path, ())
    assert msgspec.json.decode(request.body or b"") == {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"namespace": "shop", "name": "a"},
        "deleteOptions": {"preconditions": {"uid": "u-1"}},
    }


def test_a_merge_patch_means_one_uid_and_refuses_unknown_fields() -> None:
    patch = {"metadata": {"annotations": {"a": None}}, "spec": {"x": 1}}
    request = requests.merge_patch(
        ObjectRef(BROKERS, "shop", "orders"), patch, uid="u-1", field_manager="operator"
    )
    metadata = {"annotations": {"a": None}, "uid": "u-1"}
    assert request == HttpRequest(
        "PATCH",
        f"{BROKERS_PATH}/orders",
        (("fieldManager", "operator"), ("fieldValidation", "Strict")),
        (("Content-Type", "application/merge-patch+json"),),
        msgspec.json.encode({"metadata": metadata, "spec": {"x": 1}}),
    )


def test_a_trial_is_asked_for_by_a_parameter() -> None:
    for trial in (
        requests.apply(BROKERS, BROKER, field_manager="operator", dry_run=True),
        requests.create(BROKERS, BROKER, field_manager="operator", dry_run=True),
    ):
        assert ("dryRun", "All") in trial.query


def test_a_strategic_patch_says_so() -> None:
    request = requests.merge_patch(
        ObjectRef(PODS, "shop", "a"), {}, uid="u-1", field_manager="operator", strategic=True
    )
    assert request.headers == (("Content-Type", "application/strategic-merge-patch+json"),)
