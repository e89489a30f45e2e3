"""Bodies are those that real servers sent."""

from __future__ import annotations

from fakes.rocketmq_caller import answer
from rocketmq.messages import controllers


def test_controllers_tell_who_leads_in_the_header() -> None:
    fields = {
        "group": "cg",
        "controllerLeaderId": "n0",
        "controllerLeaderAddress": "127.0.0.1:30877",
        "isLeader": "true",
        "peers": "n0:127.0.0.1:30877;n1:127.0.0.1:30878;",
    }
    told = controllers.metadata().answer(answer(**fields))
    assert (told.leader_address, told.is_leader) == ("127.0.0.1:30877", True)
    assert told.peers == {"n0": "127.0.0.1:30877", "n1": "127.0.0.1:30878"}
    nobody = controllers.metadata().answer(answer(group="cg", isLeader="false", peers=""))
    assert (nobody.leader_id, nobody.leader_address, nobody.peers) == (None, None, {})


def test_an_election_designates_exactly_when_an_id_is_given() -> None:
    asked = controllers.elect_master("C5", "broker-a", 2).request.ext_fields
    assert asked["designateElect"] == "true"
    asked = controllers.elect_master("C5", "broker-a", controllers.ANY_BROKER).request.ext_fields
    assert (asked["brokerId"], asked["designateElect"]) == ("-1", "false")


def test_ids_to_clean_are_joined_and_the_living_are_never_cleaned() -> None:
    fields = controllers.clean_broker_data("C5", "broker-a", {2, 1}).request.ext_fields
    assert fields["brokerControllerIdsToClean"] == "1;2"
    assert fields["isCleanLivingBroker"] == "false"


def test_a_replica_set_without_a_master_is_read() -> None:
    body = (
        b'{"replicasInfoTable":{"broker-a":{"inSyncReplicas":[{"alive":true,"brokerAddress":"b:1",'
        b'"brokerId":1,"brokerName":"broker-a"}],"notInSyncReplicas":[]}}}'
    )
    found = controllers.sync_states(["broker-a"]).answer(answer(body))["broker-a"]
    assert (found.master_broker_id, found.master_address) == (None, None)
    assert [one.broker_id for one in found.in_sync_replicas] == [1]
