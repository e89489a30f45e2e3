"""The TopicTransfer kind: reads it past the cache, looks at the servers, does the next thing.

A stale status could repeat or undo a step, so each reconcile begins with what the API server has,
and each status is written only upon that version. What a status announces is done by a later
reconcile, which found it written.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable

import msgspec

from controller import finalizers
from controller.apply import apply_status
from controller.client.projection import typed
from controller.errors import NotFoundError
from controller.events import Event, Regarding
from controller.objects import Change, Key, ObjectMeta, ObjectRef, Undecodable
from controller.reconcile import Request, Result, Terminal
from controller.triggers import Trigger
from reconcilers import reasons
from reconcilers.act_on_topics import Failed, act_on_topics
from reconcilers.api.kube import SECRET, Pod
from reconcilers.api.meta import LocalObjectReference
from reconcilers.api.name_service import NameService
from reconcilers.api.topic_transfer import (
    FINALIZER,
    TOPIC_TRANSFER,
    TopicTransfer,
    TopicTransferStatus,
)
from reconcilers.api.validation import problems
from reconcilers.ask_of_topics import ask_transfer
from reconcilers.desired.name_servers import asked_at
from reconcilers.desired.transfer_servers import TransferServers, transfer_servers
from reconcilers.facts import NameServerProblem
from reconcilers.observe import Cached
from reconcilers.status.topic_transfer import (
    problem_status,
    transfer_status,
    undecodable_status,
)
from reconcilers.status.transfer_notices import transfer_notices
from reconcilers.tools import RECONCILE, Tools
from reconcilers.transfer.decision import decide, is_terminal
from reconcilers.transfer.facts import Side, TransferFacts
from reconcilers.transfer.outcome import Act, Move, Outcome, Wait
from reconcilers.transfer.rivals import rival
from rocketmq.acl import Credentials
from rocketmq.admin import Admin

WAIT_FOR_CLUSTER_S = 15.0
MOVED_S = 0.1
"""What was just written is gone on with at once."""

AdminFor = Callable[[Credentials | None], Admin]
"""Asks and tells servers in the name of an account."""


class CredentialsError(Exception):
    """A Secret cannot be used; the text says why, and holds nothing of it."""


class TopicTransferReconciler:
    """Brings one transfer a step further."""

    resource = TOPIC_TRANSFER

    def __init__(self, tools: Tools, admin_for: AdminFor) -> None:
        self._tools = tools
        self._admin_for = admin_for

    @property
    def cached(self) -> Cached[TopicTransfer | Undecodable]:
        """The resources of this kind."""
        return self._tools.caches.topic_transfers

    async def reconcile(self, request: Request) -> Result:
        """See `controller.reconcile.Reconciler`."""
        seen = self.cached.get(request)
        if seen is None or (isinstance(seen, TopicTransfer) and _is_over(seen)):
            return Result()
        try:
            live = await self._tools.client.get(self._ref(seen.metadata))
        except NotFoundError:
            return Result()
        cr = typed(TopicTransfer)(live.body)
        if isinstance(cr, Undecodable):
            await self._report_undecodable(cr, live.manifest().get("status", {}))
            raise Terminal(cr.error)
        return await self._go_on(cr)

    async def _go_on(self, cr: TopicTransfer) -> Result:
        deleting = cr.metadata.terminating
        if is_terminal(cr) or (deleting and not cr.status.stage):
            await self._release(cr)
            return Result()
        wrong = problems(cr)
        if wrong and not cr.status.stage:
            message = "; ".join(one.message for one in wrong)
            await self._report(cr, self._problem(cr, wrong[0].reason, message))
            raise Terminal(message)
        servers = self._servers(cr)
        if isinstance(servers, NameServerProblem):
            if deleting and servers.reason == reasons.NAME_SERVICE_NOT_FOUND:
                await self._release(cr)  # the clusters went with their name servers
                return Result()
            await self._report(cr, self._problem(cr, servers.reason, servers.message))
            return Result(WAIT_FOR_CLUSTER_S)
        try:
            admins = await self._admins(cr)
        except CredentialsError as error:
            status = self._problem(cr, reasons.CREDENTIALS_NOT_FOUND, str(error))
            await self._report(cr, status)
            return Result(WAIT_FOR_CLUSTER_S)
        return await self._step(cr, servers, admins)

    async def _step(
        self, cr: TopicTransfer, servers: TransferServers, admins: dict[Side, Admin]
    ) -> Result:
        first = await self._rival(cr)
        facts = await ask_transfer(cr, servers, admins, self._asked_at(cr), first)
        outcome = decide(cr, facts, self._tools.now())
        if isinstance(outcome, Act):
            failed = await act_on_topics(admins, self._asked_at(cr), outcome.effects)
            self._count(cr, outcome, failed)
            return await self._told(cr, facts, outcome, failed)
        if isinstance(outcome, Move) and outcome.phase == "Transferring":
            version = await finalizers.hold(
                self._tools.client, self._ref(cr.metadata), cr.metadata, FINALIZER
            )
            metadata = msgspec.structs.replace(cr.metadata, resource_version=version)
            cr = msgspec.structs.replace(cr, metadata=metadata)
        return await self._told(cr, facts, outcome, ())

    async def _told(
        self,
        cr: TopicTransfer,
        facts: TransferFacts,
        outcome: Outcome,
        failed: tuple[Failed, ...],
    ) -> Result:
        refused = next((one.message for one in failed if one.refused), "")
        if failed and not refused:
            words = f"{outcome.words}: {failed[0].message}"
            outcome = Wait(words=words)
        status = transfer_status(cr, facts, outcome, self._tools.now(), refused)
        await self._report(cr, status)
        if isinstance(outcome, Move):
            return Result(MOVED_S)
        return Result(max(outcome.again_after_s, 5.0) if failed else outcome.again_after_s)

    def _count(self, cr: TopicTransfer, act: Act, failed: tuple[Failed, ...]) -> None:
        bad = {type(one.effect) for one in failed}
        for kind in dict.fromkeys(type(one) for one in act.effects):
            self._tools.stepped(self.resource.kind, cr.metadata, kind.__name__, failed=kind in bad)

    async def _report(self, cr: TopicTransfer, status: TopicTransferStatus) -> None:
        tools, metadata = self._tools, cr.metadata
        written = await apply_status(
            tools.client,
            self.resource,
            metadata,
            status,
            cr.status,
            version=metadata.resource_version,
        )
        if written:
            tools.wrote_status(self.resource.kind)
        regarding = Regarding.of(self.resource, metadata)
        for notice in transfer_notices(cr.status, status):
            tools.events.record(
                Event(regarding, notice.type, notice.reason, RECONCILE, notice.note)
            )

    async def _report_undecodable(self, cr: Undecodable, status: object) -> None:
        try:
            before = msgspec.convert(status, TopicTransferStatus)
        except msgspec.ValidationError:
            return  # to write another one would lose what is recorded there
        after = undecodable_status(cr, before, self._tools.now())
        await apply_status(
            self._tools.client,
            self.resource,
            cr.metadata,
            after,
            before,
            version=cr.metadata.resource_version,
        )

    async def _release(self, cr: TopicTransfer) -> None:
        ref = self._ref(cr.metadata)
        await finalizers.release(self._tools.client, ref, cr.metadata, FINALIZER)

    def _problem(self, cr: TopicTransfer, reason: str, message: str) -> TopicTransferStatus:
        return problem_status(cr, reason, message, self._tools.now())

    def _servers(self, cr: TopicTransfer) -> TransferServers | NameServerProblem:
        services = [
            one
            for one in self._tools.caches.name_services.in_namespace(cr.metadata.namespace)
            if isinstance(one, NameService)
        ]
        return transfer_servers(cr, services, self._pods(cr))

    def _asked_at(self, cr: TopicTransfer) -> Callable[[str], str]:
        pods = self._pods(cr)
        return lambda address: asked_at(address, pods)

    def _pods(self, cr: TopicTransfer) -> list[Pod]:
        found = self._tools.caches.pods.in_namespace(cr.metadata.namespace)
        return [one for one in found if isinstance(one, Pod)]

    async def _rival(self, cr: TopicTransfer) -> str:
        """Another transfer that comes first; asked of the API server, for both may be new."""
        if cr.status.stage not in ("", "Recorded") or cr.spec.dry_run:
            return ""
        namespace = cr.metadata.namespace
        listed = await self._tools.client.list(self.resource, namespace, label_selector="")
        here = [typed(TopicTransfer)(one.body) for one in listed]
        elsewhere = [one for one in self.cached.all() if one.metadata.namespace != namespace]
        others = [one for one in (*here, *elsewhere) if isinstance(one, TopicTransfer)]
        return rival(cr, others)

    async def _admins(self, cr: TopicTransfer) -> dict[Side, Admin]:
        source = await self._credentials(cr, cr.spec.credentials_secret)
        own = cr.spec.target_credentials_secret
        target = source if own is None else await self._credentials(cr, own)
        return {"source": self._admin_for(source), "target": self._admin_for(target)}

    async def _credentials(
        self, cr: TopicTransfer, reference: LocalObjectReference | None
    ) -> Credentials | None:
        if reference is None:
            return None
        ref = ObjectRef(SECRET, cr.metadata.namespace, reference.name)
        try:
            found = (await self._tools.client.get(ref)).manifest().get("data") or {}
        except NotFoundError:
            raise CredentialsError(f"there is no Secret {reference.name}") from None
        return _credentials_of(reference.name, found)

    def _ref(self, metadata: ObjectMeta) -> ObjectRef:
        return ObjectRef(self.resource, metadata.namespace, metadata.name)


def _credentials_of(secret: str, data: dict[str, str]) -> Credentials:
    def value(key: str) -> str:
        try:
            return base64.b64decode(data.get(key, "")).decode().strip()
        except (binascii.Error, UnicodeDecodeError):
            raise CredentialsError(f"{key} of Secret {secret} is no text") from None

    credentials = Credentials(value("accessKey"), value("secretKey"), value("securityToken"))
    if not credentials.access_key or not credentials.secret_key:
        raise CredentialsError(f"Secret {secret} needs the keys accessKey and secretKey")
    return credentials


def _is_over(cr: TopicTransfer) -> bool:
    return is_terminal(cr) and FINALIZER not in cr.metadata.finalizers


def edited(change: Change[TopicTransfer | Undecodable]) -> Iterable[Key]:
    """The object's own key, but not for a status that we wrote: what it led to is timed.

    A status tells how much is left, and would otherwise wake its own transfer for ever.
    """
    old, new = change.old, change.new
    if old is None or new is None or _essence(old.metadata) != _essence(new.metadata):
        yield change.key


def _essence(metadata: ObjectMeta) -> tuple[object, ...]:
    return (
        metadata.uid,
        metadata.generation,
        metadata.deletion_timestamp,
        metadata.annotations,
        metadata.labels,
    )


def ended(transfers: Cached[TopicTransfer | Undecodable]) -> Trigger[TopicTransfer | Undecodable]:
    """The other transfers of its topic, when one is over: they may have waited for it."""

    def others(change: Change[TopicTransfer | Undecodable]) -> Iterable[Key]:
        old, new = change.old, change.new
        if not isinstance(old, TopicTransfer):
            return
        over = new is None or (isinstance(new, TopicTransfer) and is_terminal(new))
        if is_terminal(old) or not over:
            return
        for other in transfers.all():
            same = isinstance(other, TopicTransfer) and other.spec.topic == old.spec.topic
            if same and other.metadata.key != change.key:
                yield other.metadata.key

    return others
