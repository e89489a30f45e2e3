from collections.abc import Callable
from typing import Any

import pytest

from reconcilers.api.validation import BROKER_IDENTITY_KEYS, NAME_SERVER_IDENTITY_KEYS
from reconcilers.desired.files import (
    OPERATOR_CONF,
    USER_CONF,
    broker_config_hash,
    broker_files,
    ignored_settings,
    name_server_config_hash,
    name_server_files,
)
from rocketmq.properties import parsed

Make = Callable[..., Any]


def effective(cr: Any, common: str = "") -> dict[str, str]:
    """The shared parts as the start script puts them together."""
    files = broker_files(cr, "ns:9876")
    parts = (files["defaults.conf"], common, files[USER_CONF], files[OPERATOR_CONF])
    return parsed("\n\n".join(parts))


def test_fixed_keys_win_over_all_that_the_user_gives(broker: Make) -> None:
    keys = dict.fromkeys(BROKER_IDENTITY_KEYS, "the user's")
    common = "listenPort=1\nnamesrvAddr=h:1\nstorePathRootDir=/tmp\\"
    conf = effective(broker(config=keys), common)
    assert "the user's" not in conf.values()
    assert conf["listenPort"] == "10911"
    assert conf["namesrvAddr"] == "ns:9876"
    assert conf["storePathRootDir"] == "/home/rocketmq/store"
    assert conf["storePathCommitLog"] == "/home/rocketmq/store/commitlog"


def test_fixed_keys_are_among_those_that_validation_names(broker: Make, name_service: Make) -> None:
    assert parsed(broker_files(broker(), "ns:9876")[OPERATOR_CONF]).keys() <= BROKER_IDENTITY_KEYS
    fixed = parsed(name_server_files(name_service())[OPERATOR_CONF])
    assert fixed.keys() <= NAME_SERVER_IDENTITY_KEYS


def test_the_spec_wins_over_the_file_and_the_file_over_our_defaults(broker: Make) -> None:
    cr = broker(replicaPerGroup=1, config={"deleteWhen": "05"})
    conf = effective(cr, "deleteWhen=04\ninSyncReplicas=1")
    assert conf["deleteWhen"] == "05"
    assert conf["inSyncReplicas"] == "1"


SYNC = {"replicationMode": "SYNC"}
BY_CONFIG = {"config": {"brokerRole": "SYNC_MASTER"}}
BY_FILE = {"volumes": [{"name": "common", "configMap": {"name": "common"}}]}
ASYNC = {"replicationMode": "ASYNC"}


@pytest.mark.parametrize(
    ("replicas", "spec", "in_sync"),
    [
        (0, SYNC, None),
        (1, SYNC, "2"),
        (2, SYNC, "2"),
        (1, BY_CONFIG, "2"),
        (1, BY_FILE, "2"),
        (1, ASYNC, None),
        (1, {}, None),
        (1, ASYNC | BY_CONFIG, None),
    ],
)
def test_a_sync_master_waits_for_a_replica_where_there_is_one(
    replicas: int, spec: dict[str, Any], in_sync: str | None, broker: Make
) -> None:
    assert effective(broker(replicaPerGroup=replicas, **spec)).get("inSyncReplicas") == in_sync


def test_any_text_of_a_value_reaches_the_server(broker: Make) -> None:
    config = {"a": " b\\c\nd=e#", "key with: space": "é"}
    assert parsed(broker_files(broker(config=config), "")[USER_CONF]) == config


def test_the_size_of_the_config_map_does_not_depend_on_the_number_of_brokers(broker: Make) -> None:
    assert broker_files(broker(size=1000), "a") == broker_files(broker(size=1), "a")


def test_the_root_layout_has_its_store_in_roots_home(broker: Make, name_service: Make) -> None:
    assert effective(broker(imageLayout="Root"))["storePathRootDir"] == "/root/store"
    conf = parsed(name_server_files(name_service(imageLayout="Root"))[OPERATOR_CONF])
    assert conf["kvConfigPath"] == "/root/namesrv/kvConfig.json"


def test_the_hash_moves_with_the_configuration_only(broker: Make) -> None:
    before = broker_config_hash(broker(), None)
    assert before == broker_config_hash(broker(nameServers="h:9876", size=3), None)
    assert before != broker_config_hash(broker(config={"flushDiskType": "SYNC_FLUSH"}), None)
    assert before != broker_config_hash(broker(), "flushDiskType=SYNC_FLUSH")


def test_what_running_brokers_are_told_moves_no_hash(broker: Make) -> None:
    before = broker_config_hash(broker(), "flushDiskType=SYNC_FLUSH")
    assert before == broker_config_hash(
        broker(config={"deleteWhen": "05"}), "fileReservedTime=48\nflushDiskType = SYNC_FLUSH"
    )


def test_the_hash_of_a_name_server_moves_with_its_configuration(name_service: Make) -> None:
    before = name_server_config_hash(name_service())
    assert before == name_server_config_hash(name_service(size=3))
    assert before != name_server_config_hash(name_service(config={"orderMessageEnable": "true"}))


@pytest.mark.parametrize(
    ("spec", "common", "ignored"),
    [
        ({}, None, ()),
        ({"config": {"deleteWhen": "04"}}, "fileReservedTime=48", ()),
        ({"config": {"brokerName": "b"}}, "brokerIP1=1.2.3.4", ("brokerIP1", "brokerName")),
        ({}, "brokerRole=SYNC_MASTER", ()),
        ({}, "brokerRole=SLAVE", ("brokerRole",)),
        ({"config": {"brokerRole": "SYNC_MASTER"}}, "brokerRole=SLAVE", ()),
        ({"replicationMode": "SYNC"}, "brokerRole=ASYNC_MASTER", ("brokerRole",)),
        ({"config": {"listenPort": "1"}}, "a=\\u12", ("listenPort",)),
    ],
)
def test_keys_without_effect_are_named(
    spec: dict[str, Any], common: str | None, ignored: tuple[str, ...], broker: Make
) -> None:
    assert ignored_settings(broker(**spec), common) == ignored
