"""What the guard of a master's store is told: how many replicas there may be, and lost volumes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from reconcilers.api.kube import PersistentVolumeClaim, StatefulSet
from reconcilers.desired import names
from reconcilers.desired.broker import desired
from reconcilers.desired.files import GROUP_CONF, group_conf
from reconcilers.desired.storage import replaced_masters
from reconcilers.facts import BrokerFacts, NameServers
from rocketmq.properties import parsed

Make = Callable[..., Any]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MASTER, REPLICA, SECOND = "broker-0-master-0", "broker-0-replica-1-0", "broker-0-replica-2-0"


def claims(ages_s: dict[str, float]) -> dict[str, PersistentVolumeClaim]:
    return {
        pod: msgspec.convert(
            {
                "metadata": {
                    "name": f"broker-storage-{pod}",
                    "creationTimestamp": (NOW - timedelta(seconds=age)).isoformat(),
                }
            },
            PersistentVolumeClaim,
        )
        for pod, age in ages_s.items()
    }


def facts(*sets: str, **more: Any) -> BrokerFacts:
    there = tuple(msgspec.convert({"metadata": {"name": one}}, StatefulSet) for one in sets)
    return BrokerFacts(name_servers=NameServers(addresses=("ns:9876",)), sets=there, **more)


def told(cr: Any, given: BrokerFacts) -> dict[str, str]:
    return parsed(group_conf(cr, given))


def test_it_knows_where_the_replicas_of_its_group_are(broker: Make) -> None:
    assert told(broker(replicaPerGroup=2), facts()) == {
        "replicas": "2",
        "domain": "broker-brokers.shop.svc",
        "replaced": "",
    }


@pytest.mark.parametrize(
    "spec",
    [
        {"replicaPerGroup": 0},
        {"replicaPerGroup": 1, "size": 3},
        {"replicaPerGroup": 2, "size": 2, "hostNetwork": True},
        {"replicaPerGroup": 2, "size": 2, "addressMode": "PodIP", "clusterPerGroup": True},
    ],
)
def test_the_hosts_that_it_asks_are_the_names_of_the_groups_replicas(
    spec: dict[str, Any], broker: Make
) -> None:
    cr = broker(**spec)
    conf = told(cr, facts())
    for group in range(cr.spec.size):
        members = [one for one in names.members(cr) if one.group == group]
        asked = [
            # As in scripts/store-guard.sh.
            f"{members[0].broker_name}-replica-{number}-0.{conf['domain']}"
            for number in range(1, int(conf["replicas"]) + 1)
        ]
        service = names.brokers(cr.metadata.name)
        assert asked == [
            names.pod_dns(one.pod, service, cr.metadata.namespace)
            for one in members
            if not one.is_master
        ]


def test_a_replica_that_is_not_wanted_any_more_is_asked_as_long_as_it_is_there(
    broker: Make,
) -> None:
    cr = broker(replicaPerGroup=0)
    assert told(cr, facts())["replicas"] == "0"
    assert told(cr, facts("broker-0-master", "broker-0-replica-2"))["replicas"] == "2"


@pytest.mark.parametrize(
    ("ages_s", "replaced"),
    [
        ({MASTER: 1000, REPLICA: 1000}, ()),
        ({MASTER: 1000, REPLICA: 990}, ()),
        ({MASTER: 940, REPLICA: 1000}, ()),
        ({MASTER: 939, REPLICA: 1000}, ("broker-0",)),
        ({MASTER: 5, REPLICA: 86400}, ("broker-0",)),
        ({MASTER: 86400, REPLICA: 5}, ()),
        ({MASTER: 5, REPLICA: 3, SECOND: 86400}, ("broker-0",)),
        ({MASTER: 5}, ()),
        ({REPLICA: 86400}, ()),
        ({}, ()),
    ],
)
def test_a_master_whose_claim_came_after_a_replicas_has_lost_a_volume(
    ages_s: dict[str, float], replaced: tuple[str, ...], broker: Make
) -> None:
    members = names.members(broker(replicaPerGroup=2))
    assert replaced_masters(members, claims(ages_s)) == replaced


def test_only_the_group_that_lost_one_is_named(broker: Make) -> None:
    ages = {"broker-0-master-0": 9e5, "broker-0-replica-1-0": 9e5}
    ages |= {"broker-1-master-0": 10, "broker-1-replica-1-0": 9e5}
    members = names.members(broker(size=2, replicaPerGroup=1))
    assert replaced_masters(members, claims(ages)) == ("broker-1",)


def test_lost_volumes_are_told(broker: Make) -> None:
    given = facts(replaced=("broker-1", "broker-3"))
    assert told(broker(size=4), given)["replaced"] == "broker-1 broker-3"


def test_it_is_among_the_files_of_the_pods(broker: Make) -> None:
    cr = broker(replicaPerGroup=1)
    files = next(one for one in desired(cr, facts()) or [] if one.resource.kind == "ConfigMap")
    assert files.manifest["data"][GROUP_CONF] == group_conf(cr, facts())
