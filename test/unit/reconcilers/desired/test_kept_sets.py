"""StatefulSets that the spec does not ask for any more and that stay for their messages."""

from __future__ import annotations

from typing import Any

import msgspec

from controller.objects import Desired, OwnerReference
from fakes.gate_facts import Seen, a_pod, a_set
from reconcilers.api.broker import Broker
from reconcilers.api.kube import STATEFUL_SET, Pod, StatefulSetSpec
from reconcilers.desired.broker import desired
from reconcilers.desired.storage import CLAIM_TEMPLATES, in_safe_steps
from reconcilers.facts import BrokerFacts, NameServers

SETS = ("broker-0-master", "broker-0-replica-1", "broker-1-master", "broker-1-replica-1")
OWNER = OwnerReference(
    api_version="apps/v1", kind="StatefulSet", name="x", uid="x", controller=True
)


def on_claims(make: Any, storage: str, **spec: Any) -> Broker:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}}
    templates = [{"metadata": {"name": "data"}, "spec": claim}]
    cr: Broker = make(storageMode="StorageClass", volumeClaimTemplates=templates, **spec)
    return cr


def sets_of(cr: Broker, facts: BrokerFacts) -> dict[str, Desired]:
    wanted = desired(cr, facts)
    assert wanted is not None
    found = [one for one in wanted if one.resource == STATEFUL_SET]
    assert len(found) == len({one.manifest["metadata"]["name"] for one in found})
    safe = in_safe_steps(found, facts.sets, ())
    return {one.manifest["metadata"]["name"]: one for one in safe}


def facts(*there: str, pods: tuple[Pod, ...] = ()) -> BrokerFacts:
    """With these StatefulSets, whose claims are of 1Gi."""
    sets = tuple(a_set(name, Seen()) for name in there)
    return BrokerFacts(name_servers=NameServers(addresses=("ns:9876",)), sets=sets, pods=pods)


def pod_of(stateful_set: str, owner: OwnerReference | None) -> Pod:
    pod = a_pod(f"{stateful_set}-0", Seen())
    references = () if owner is None else (owner,)
    metadata = msgspec.structs.replace(pod.metadata, owner_references=references)
    return msgspec.structs.replace(pod, metadata=metadata)


def test_only_what_is_wanted_is_made_anew_for_larger_claims(broker: Any) -> None:
    found = sets_of(on_claims(broker, "2Gi", size=1), facts(*SETS))
    assert {name: one.recreate_for for name, one in found.items()} == {
        "broker-0-master": (CLAIM_TEMPLATES,),
        "broker-0-replica-1": (),
        "broker-1-master": (),
        "broker-1-replica-1": (),
    }


def test_a_change_that_pods_can_follow_reaches_what_is_only_kept(broker: Any) -> None:
    """And nothing that the server refuses: a refusal would keep the gate from every other pod."""
    before = sets_of(on_claims(broker, "1Gi", size=2, replicaPerGroup=1), facts())
    live = tuple(
        msgspec.structs.replace(
            one, spec=msgspec.convert(before[one.metadata.name].manifest["spec"], StatefulSetSpec)
        )
        for one in facts(*SETS).sets
    )
    cr = on_claims(broker, "2Gi", size=1, replicaPerGroup=1, brokerImage="another")
    found = sets_of(cr, msgspec.structs.replace(facts(), sets=live))
    for name, one in found.items():
        of_pods = one.manifest["spec"]["template"]["spec"]["containers"][0]
        assert of_pods["image"] == "another"
        claims = before[name].manifest["spec"]["volumeClaimTemplates"]
        same = one.manifest["spec"]["volumeClaimTemplates"] == claims
        assert same == (name in SETS[2:])


def test_one_whose_pod_was_left_behind_is_made_again(broker: Any) -> None:
    """It was being made anew for its claims when the spec lost its group."""
    gone = "broker-1-master"
    there = [name for name in SETS if name != gone]
    found = sets_of(on_claims(broker, "2Gi"), facts(*there, pods=(pod_of(gone, None),)))
    assert found.keys() == {*SETS}
    (claim,) = found[gone].manifest["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"


def test_one_that_was_removed_with_its_pod_is_not_made_again(broker: Any) -> None:
    gone = "broker-1-master"
    there = [name for name in SETS if name != gone]
    found = sets_of(on_claims(broker, "2Gi"), facts(*there, pods=(pod_of(gone, OWNER),)))
    assert found.keys() == {*there}


def test_one_that_goes_is_not_asked_for(broker: Any) -> None:
    """By a cache that is behind it would be made again just when it has gone."""
    going = a_set("broker-1-master", Seen(removed=True))
    there = facts(*(name for name in SETS if name != going.metadata.name))
    cr = on_claims(broker, "2Gi", size=1, replicaPerGroup=1)
    found = sets_of(cr, msgspec.structs.replace(there, sets=(*there.sets, going)))
    assert found.keys() == {*SETS} - {going.metadata.name}
    # Unless it is wanted again.
    wanted = msgspec.structs.replace(there, sets=(*there.sets, going))
    assert sets_of(on_claims(broker, "2Gi", size=2), wanted).keys() == {*SETS}
