"""TopicTransfer: moves a topic from one RocketMQ cluster to another one, or leaves all as it was.

The status is the operator's write-ahead record: what will be changed stands there before it is
changed, so whoever comes next can go on or give back. Pure.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from controller.objects import ObjectMeta, Resource
from reconcilers.api.broker import NAME_SERVERS_PATTERN
from reconcilers.api.definition import AGE, READY, REASON, Column, Definition, Rule
from reconcilers.api.meta import GROUP, VERSION, Conditions, LocalObjectReference, Spec
from reconcilers.api.transfer_record import GroupRow, TransferProgress, TransferRecord

TOPIC_TRANSFER = Resource(GROUP, VERSION, "topictransfers", "TopicTransfer")

FINALIZER = f"{GROUP}/topic-transfer"
"""Keeps a transfer that has begun until it is done or undone."""

TOPIC_PATTERN = r"^[%|a-zA-Z0-9_-]{1,127}$"
"""Names of topics as brokers accept them (dossier, 2.3)."""
CLUSTER_PATTERN = r"^[^\s;:@]{1,255}$"

Phase = Literal[
    "", "Waiting", "Transferring", "Completing", "RollingBack", "Succeeded", "RolledBack", "Planned"
]
"""`Completing` is past the point of no return: what is deleted on the source is being deleted."""

Stage = Literal[
    "",
    "Recorded",
    "CreateGroups",
    "CreateTopic",
    "AwaitConsumers",
    "OpenTarget",
    "CloseSource",
    "Drain",
    "DeleteTopic",
    "DeleteGroups",
    "CreateRetryTopics",
    "RestoreSource",
    "CloseTarget",
    "DrainTarget",
    "DeleteTarget",
    "DeleteTargetGroups",
]
"""How far a transfer is; it is written before what it names is done."""


class TopicTransferSpec(Spec, frozen=True, kw_only=True):
    """What the user wants."""

    topic: Annotated[
        str,
        Meta(
            description="Topic to be moved.",
            extra_json_schema={"pattern": TOPIC_PATTERN, "maxLength": 127},
        ),
    ]
    source_cluster: Annotated[
        str,
        Meta(
            description="RocketMQ cluster that has it; of a Broker with clusterPerGroup "
            "<name>-<group>, else its name.",
            extra_json_schema={"pattern": CLUSTER_PATTERN, "maxLength": 255},
        ),
    ]
    target_cluster: Annotated[
        str,
        Meta(
            description="RocketMQ cluster that will have it.",
            extra_json_schema={"pattern": CLUSTER_PATTERN, "maxLength": 255},
        ),
    ]
    name_servers: Annotated[
        str,
        Meta(
            description="Name servers of the source as host:port;host:port: all of them. Empty: "
            "nameServiceRef, or the only NameService of the namespace.",
            extra_json_schema={"pattern": NAME_SERVERS_PATTERN, "maxLength": 4096},
        ),
    ] = ""
    name_service_ref: Annotated[
        LocalObjectReference | None,
        Meta(description="The NameService of this namespace that knows the source."),
    ] = None
    target_name_servers: Annotated[
        str,
        Meta(
            description="Name servers of the target. Empty: targetNameServiceRef, or those of the "
            "source.",
            extra_json_schema={"pattern": NAME_SERVERS_PATTERN, "maxLength": 4096},
        ),
    ] = ""
    target_name_service_ref: Annotated[
        LocalObjectReference | None,
        Meta(description="The NameService of this namespace that knows the target."),
    ] = None
    credentials_secret: Annotated[
        LocalObjectReference | None,
        Meta(
            description="Secret with the keys accessKey, secretKey and maybe securityToken, for "
            "brokers of the source that check permissions."
        ),
    ] = None
    target_credentials_secret: Annotated[
        LocalObjectReference | None,
        Meta(description="The same for the target; by default that of the source."),
    ] = None
    ordered: Annotated[
        bool | None,
        Meta(
            description="Whether producers wait until the source is consumed, so that the order "
            "of messages is kept; by default the topic's own flag."
        ),
    ] = None
    route_refresh_seconds: Annotated[
        int,
        Meta(
            description="Seconds that clients get to notice a change of the route; they look "
            "every 30 s.",
            ge=0,
            le=3600,
        ),
    ] = 60
    deadline_seconds: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="Seconds after which a transfer that has not begun to delete anything on "
            "the source is rolled back; by default it takes as long as it takes.",
        ),
    ] = None
    ignore_groups: Annotated[
        tuple[Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": 255})], ...],
        Meta(
            description="Consumer groups whose unconsumed messages are given up; `*`: those of a "
            "topic that no group ever consumed."
        ),
    ] = ()
    cancel: Annotated[bool, Meta(description="Roll back: everything becomes as it was before.")] = (
        False
    )
    dry_run: Annotated[bool, Meta(description="Only say on the status what would be done.")] = False


class TopicTransferStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was seen, and what was done."""

    observed_generation: Annotated[int, Meta(description="Generation of the spec seen last.")] = 0
    conditions: Conditions = ()
    phase: Annotated[Phase, Meta(description="How it stands.")] = ""
    stage: Annotated[Stage, Meta(description="How far it is, for the operator.")] = ""
    step: Annotated[str, Meta(description="What is done now, or what is waited for.")] = ""
    reason: Annotated[str, Meta(description="Why it is being, or was, rolled back.")] = ""
    started_at: Annotated[str, Meta(description="When it began to change something.")] = ""
    finished_at: Annotated[str, Meta(description="When it ended.")] = ""
    lag: Annotated[
        int, Meta(description="Messages left on the source, as the power of two below.")
    ] = 0
    groups: Annotated[tuple[GroupRow, ...], Meta(description="One row a consumer group.")] = ()
    more_groups: Annotated[int, Meta(description="Further groups, without a row.")] = 0
    plan: Annotated[
        tuple[str, ...], Meta(description="What would be done (dryRun), or is being done.")
    ] = ()
    kept: Annotated[
        tuple[str, ...],
        Meta(description="What was left where it was, such as dead letters, and why."),
    ] = ()
    progress: Annotated[TransferProgress, Meta(description="What the next step rests on.")] = (
        TransferProgress()
    )
    record: Annotated[
        TransferRecord | None, Meta(description="Everything that is changed, as it was before.")
    ] = None


class TopicTransfer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The resource."""

    metadata: ObjectMeta
    spec: TopicTransferSpec
    status: TopicTransferStatus = TopicTransferStatus()


def _same(field: str) -> str:
    both = f"has(self.{field}) && has(oldSelf.{field}) && self.{field} == oldSelf.{field}"
    return f"((!has(self.{field}) && !has(oldSelf.{field})) || ({both}))"


_FIXED = (
    "topic",
    "sourceCluster",
    "targetCluster",
    "nameServers",
    "nameServiceRef",
    "targetNameServers",
    "targetNameServiceRef",
    "credentialsSecret",
    "targetCredentialsSecret",
    "ordered",
    "dryRun",
    "routeRefreshSeconds",
)
"""What a transfer that runs could not follow."""


def _empty(field: str) -> str:
    return f"(!has(self.{field}) || self.{field} == '')"


_RULES = (
    Rule(
        rule="self.sourceCluster != self.targetCluster || "
        f"!({_empty('targetNameServers')}) || has(self.targetNameServiceRef)",
        message="sourceCluster and targetCluster must differ, unless they have different name "
        "servers",
    ),
    Rule(
        rule=f"{_empty('nameServers')} || !has(self.nameServiceRef)",
        message="give either nameServers or nameServiceRef, not both",
    ),
    Rule(
        rule=f"{_empty('targetNameServers')} || !has(self.targetNameServiceRef)",
        message="give either targetNameServers or targetNameServiceRef, not both",
    ),
    Rule(
        rule="!self.topic.startsWith('%RETRY%') && !self.topic.startsWith('%DLQ%') && "
        "!self.topic.startsWith('RMQ_SYS_') && !self.topic.startsWith('rmq_sys_')",
        message="topic must be one that users made: retry, dead-letter and system topics belong "
        "to their groups and servers",
    ),
    Rule(
        rule=" && ".join(_same(field) for field in _FIXED),
        message="only cancel, deadlineSeconds and ignoreGroups can be changed: create another "
        "TopicTransfer",
    ),
    Rule(
        rule="!(has(oldSelf.cancel) && oldSelf.cancel) || (has(self.cancel) && self.cancel)",
        message="a transfer that is cancelled stays so: create another TopicTransfer",
    ),
)

TOPIC_TRANSFER_DEFINITION = Definition(
    resource=TOPIC_TRANSFER,
    struct=TopicTransfer,
    description="Moves a topic with its consumer groups from one RocketMQ cluster to another one, "
    "without loss; or leaves everything as it was.",
    max_name_length=63,
    short_names=("rmqtt",),
    columns=(
        Column(
            name="Topic",
            type="string",
            json_path=".spec.topic",
            description="Topic to be moved.",
        ),
        Column(
            name="Source",
            type="string",
            json_path=".spec.sourceCluster",
            description="Cluster that has it.",
        ),
        Column(
            name="Target",
            type="string",
            json_path=".spec.targetCluster",
            description="Cluster that will have it.",
        ),
        Column(
            name="Phase",
            type="string",
            json_path=".status.phase",
            description="How it stands.",
        ),
        Column(
            name="Step",
            type="string",
            json_path=".status.step",
            description="What is done now, or what is waited for.",
        ),
        Column(
            name="Lag",
            type="integer",
            json_path=".status.lag",
            description="Messages left on the source, as the power of two below.",
        ),
        READY,
        REASON,
        AGE,
    ),
    spec_rules=_RULES,
)
"""How the CRD shows the kind."""
