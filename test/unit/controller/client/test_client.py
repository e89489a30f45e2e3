from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from controller.client import requests
from controller.client.client import SILENCE_S, KubeClient
from controller.client.requests import HttpRequest, Selection
from controller.client.transport import HttpResponse
from controller.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    DisruptionBudgetError,
    MalformedError,
    NotFoundError,
    SilentError,
    ThrottledError,
    UnreachableError,
)
from controller.objects import ObjectRef, Resource

PODS = Resource("", "v1", "pods", "Pod")
REF = ObjectRef(PODS, "shop", "a")
MANIFEST = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "a"}}
POD = msgspec.json.encode({**MANIFEST, "metadata": {**MANIFEST["metadata"], "managedFields": []}})


class ScriptedTransport:
    """Gives one prepared answer after the other and remembers what it was asked."""

    def __init__(self, *answers: bytes | ApiError | list[bytes | ApiError]) -> None:
        self.answers = list(answers)
        self.requests: list[HttpRequest] = []
        self.silence_s = 0.0

    async def send(self, request: HttpRequest, *, timeout_s: float) -> HttpResponse:
        assert timeout_s > 0
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, ApiError):
            raise answer
        assert isinstance(answer, bytes)
        return HttpResponse(200, answer)

    @asynccontextmanager
    async def stream(
        self, request: HttpRequest, *, silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.requests.append(request)
        self.silence_s = silence_s
        answer = self.answers.pop(0)
        if isinstance(answer, ApiError):
            raise answer
        assert isinstance(answer, list)

        async def lines() -> AsyncIterator[bytes]:
            for line in answer:
                if isinstance(line, ApiError):
                    raise line
                yield line

        yield lines()


class Observed:
    """What a metric would count."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def __call__(self, method: str, status: int, duration_s: float) -> None:
        assert duration_s >= 0
        self.seen.append((method, status))


def client(transport: ScriptedTransport, observed: Observed | None = None) -> KubeClient:
    return KubeClient(transport, field_manager="operator", metrics=observed or Observed())


def page(*names: str, version: str = "10", continue_: str = "") -> bytes:
    metadata = {"resourceVersion": version, "continue": continue_}
    items = [{"metadata": {"name": name}} for name in names]
    return msgspec.json.encode({"kind": "PodList", "metadata": metadata, "items": items})


async def pages(kube: KubeClient, resource_version: str = "") -> list[tuple[str, list[object]]]:
    return [
        (page.resource_version, [msgspec.json.decode(item) for item in page.items])
        async for page in kube.list_pages(PODS, "shop", resource_version=resource_version)
    ]


async def test_a_get_gives_the_object_without_managed_fields() -> None:
    transport = ScriptedTransport(POD)
    assert (await client(transport).get(REF)).manifest() == MANIFEST
    assert transport.requests == [requests.get(REF)]


async def test_an_apply_is_made_in_the_name_of_the_field_manager_or_of_another_one() -> None:
    transport = ScriptedTransport(POD, POD)
    kube = client(transport)
    assert (await kube.apply(PODS, MANIFEST)).manifest() == MANIFEST
    await kube.apply(PODS, MANIFEST, subresource="status", field_manager="operator-status")
    assert transport.requests == [
        requests.apply(PODS, MANIFEST, field_manager="operator"),
        requests.apply(PODS, MANIFEST, field_manager="operator-status", subresource="status"),
    ]


async def test_an_apply_and_a_create_may_be_trials() -> None:
    transport = ScriptedTransport(POD, POD)
    kube = client(transport)
    await kube.apply(PODS, MANIFEST, dry_run=True)
    await kube.create(PODS, MANIFEST, dry_run=True)
    assert transport.requests == [
        requests.apply(PODS, MANIFEST, field_manager="operator", dry_run=True),
        requests.create(PODS, MANIFEST, field_manager="operator", dry_run=True),
    ]


async def test_a_create_of_what_exists_is_an_error() -> None:
    transport = ScriptedTransport(POD, AlreadyExistsError("there", status=409))
    kube = client(transport)
    assert (await kube.create(PODS, MANIFEST)).metadata.name == "a"
    with pytest.raises(AlreadyExistsError):
        await kube.create(PODS, MANIFEST)


async def test_deleting_what_is_gone_is_a_success() -> None:
    transport = ScriptedTransport(b"{}", NotFoundError("gone", status=404))
    kube = client(transport)
    await kube.delete(REF, uid="u")
    await kube.delete(REF, uid="u")
    assert transport.requests == [requests.delete(REF, uid="u")] * 2


async def test_deleting_an_object_of_another_uid_is_a_conflict() -> None:
    transport = ScriptedTransport(ConflictError("uid", status=409))
    with pytest.raises(ConflictError):
        await client(transport).delete(REF, uid="u")


async def test_a_delete_may_mean_one_version_and_keep_the_dependants() -> None:
    transport = ScriptedTransport(b"{}")
    await client(transport).delete(
        REF, uid="u", resource_version="5", propagation="Orphan", grace_s=0
    )
    assert transport.requests == [
        requests.delete(REF, uid="u", resource_version="5", propagation="Orphan", grace_s=0)
    ]


async def test_evicting_what_is_gone_is_a_success_and_a_budget_is_an_error() -> None:
    transport = ScriptedTransport(
        b"{}", NotFoundError("gone", status=404), DisruptionBudgetError("no", status=429)
    )
    kube = client(transport)
    await kube.evict(REF, uid="u")
    await kube.evict(REF, uid="u")
    with pytest.raises(DisruptionBudgetError):
        await kube.evict(REF, uid="u")
    assert transport.requests == [requests.evict(REF, uid="u")] * 3


async def test_annotations_are_patched_on_one_object() -> None:
    transport = ScriptedTransport(POD, NotFoundError("gone", status=404))
    kube = client(transport)
    annotations = {"a": "1", "b": None}
    assert (await kube.annotate(REF, uid="u", annotations=annotations)).manifest() == MANIFEST
    with pytest.raises(NotFoundError):
        await kube.annotate(REF, uid="u", annotations=annotations)
    patch = {"metadata": {"annotations": annotations}}
    expected = requests.merge_patch(REF, patch, uid="u", field_manager="operator")
    assert transport.requests == [expected, expected]


async def test_a_list_is_read_from_the_quorum_to_the_last_page() -> None:
    transport = ScriptedTransport(page("a", continue_="x"), page("b"))
    found = await client(transport).list(PODS, "shop", label_selector="app=mq")
    assert [one.metadata.name for one in found] == ["a", "b"]
    assert found[0].manifest()["kind"] == "Pod"
    selection = Selection(PODS, "shop", "app=mq")
    assert transport.requests == [
        requests.list_(selection, limit=500),
        requests.list_(selection, limit=500, continue_="x"),
    ]


async def test_a_list_of_what_is_no_object_is_malformed() -> None:
    body = b'{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":3}}]}'
    with pytest.raises(MalformedError):
        await client(ScriptedTransport(body)).list(PODS, "shop")


async def test_an_answer_that_is_no_object_is_malformed() -> None:
    with pytest.raises(MalformedError):
        await client(ScriptedTransport(b"<html>")).get(REF)


async def test_a_list_from_the_cache_is_one_request_without_a_limit() -> None:
    transport = ScriptedTransport(page("a", "b"))
    listed = await pages(client(transport), "0")
    identity = {"apiVersion": "v1", "kind": "Pod"}
    assert listed == [
        ("10", [{**identity, "metadata": {"name": "a"}}, {**identity, "metadata": {"name": "b"}}])
    ]
    selection = Selection(PODS, "shop")
    assert transport.requests == [requests.list_(selection, resource_version="0")]


async def test_a_quorum_list_goes_on_until_the_last_page() -> None:
    transport = ScriptedTransport(page("a", continue_="x"), page("b", continue_="y"), page())
    listed = await pages(client(transport))
    assert [len(items) for _, items in listed] == [1, 1, 0]
    selection = Selection(PODS, "shop")
    assert transport.requests == [
        requests.list_(selection, limit=500),
        requests.list_(selection, limit=500, continue_="x"),
        requests.list_(selection, limit=500, continue_="y"),
    ]


async def test_an_item_that_names_its_kind_keeps_it() -> None:
    body = (
        b'{"metadata":{"resourceVersion":"1"},"items":[{"kind":"Other","metadata":{"name":"a"}}]}'
    )
    [(_, [item])] = await pages(client(ScriptedTransport(body)))
    assert item == {"apiVersion": "v1", "kind": "Other", "metadata": {"name": "a"}}


async def test_a_list_of_nothing_may_be_null() -> None:
    body = b'{"metadata":{"resourceVersion":"1"},"items":null}'
    assert await pages(client(ScriptedTransport(body))) == [("1", [])]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"items":[]}',
        b'{"metadata":{},"items":[]}',
        b'{"metadata":{"resourceVersion":""}}',
    ],
)
async def test_an_answer_that_is_no_list_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError):
        await pages(client(ScriptedTransport(body)))


async def test_a_watch_gives_lines_and_is_silent_for_75_seconds_at_most() -> None:
    transport = ScriptedTransport([b"one", b"two"])
    selection = Selection(PODS, None, "a=b")
    watch = client(transport).watch(selection, resource_version="5", timeout_s=300)
    async with watch as lines:
        assert [line async for line in lines] == [b"one", b"two"]
    assert transport.requests == [requests.watch(selection, resource_version="5", timeout_s=300)]
    assert transport.silence_s == SILENCE_S == 75.0


async def test_every_request_is_observed_once_with_its_status() -> None:
    observed = Observed()
    transport = ScriptedTransport(
        POD,
        ThrottledError("slow down", status=429),
        UnreachableError("refused"),
        page("a"),
        [b"line", SilentError("no byte")],
        ThrottledError("slow down", status=429),
    )
    kube = client(transport, observed)
    await kube.get(REF)
    for _ in range(2):
        with pytest.raises(ApiError):
            await kube.apply(PODS, MANIFEST)
    await pages(kube)
    for _ in range(2):
        with pytest.raises(ApiError):
            async with kube.watch(Selection(PODS), resource_version="1", timeout_s=300) as lines:
                assert [line async for line in lines]
    assert observed.seen == [
        ("GET", 200),
        ("PATCH", 429),
        ("PATCH", 0),
        ("GET", 200),
        ("GET", 200),
        ("GET", 429),
    ]


async def test_a_guard_is_asked_before_each_write_and_a_refused_write_is_not_sent() -> None:
    transport = ScriptedTransport(POD, page("a"))

    def refuse() -> None:
        raise ConflictError("somebody else leads")

    kube = KubeClient(transport, field_manager="operator", before_write=refuse)
    await kube.get(REF)
    await pages(kube)
    for write in (
        kube.apply(PODS, MANIFEST),
        kube.create(PODS, MANIFEST),
        kube.annotate(REF, uid="1", annotations={}),
        kube.delete(REF, uid="1"),
        kube.evict(REF, uid="1"),
    ):
        with pytest.raises(ConflictError, match="somebody else leads"):
            await write
    assert [request.method for request in transport.requests] == ["GET", "GET"]
