import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.diff import FieldChange, applied_fields, changes
from controller.objects import Manifest


def pod() -> Manifest:
    """What we would set of a pod: one of each kind of field that needs thought."""
    ip = {"fieldRef": {"fieldPath": "status.podIP"}}
    spread = {"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}
    broker = {
        "name": "broker",
        "image": "apache/rocketmq:5.3.3",
        "args": ["sh", "mqbroker"],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "value": "2"},
            {"name": "POD_IP", "valueFrom": ip},
        ],
        "ports": [
            {"containerPort": 10911, "name": "main"},
            {"containerPort": 10911, "protocol": "UDP"},
        ],
        "resources": {
            "requests": {"cpu": "500m", "memory": "2Gi"},
            "limits": {"memory": "2Gi"},
        },
        "volumeMounts": [
            {"mountPath": "/store", "name": "data", "subPath": "store"},
            {"mountPath": "/logs", "name": "data", "subPath": "logs"},
        ],
        "readinessProbe": {"tcpSocket": {"port": "main"}},
    }
    return {
        "containers": [broker],
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "config", "configMap": {"name": "c", "items": [{"key": "k"}]}},
        ],
        "tolerations": [{"key": "mq", "operator": "Exists"}],
        "topologySpreadConstraints": [spread],
    }


def stateful_set() -> Manifest:
    """What we would apply."""
    claim = {"resources": {"requests": {"storage": "8Gi"}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": "broker-0-master",
            "namespace": "mq",
            "labels": {"app.kubernetes.io/name": "broker", "empty": ""},
            "ownerReferences": [{"uid": "u1", "kind": "Broker", "name": "b", "controller": True}],
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"broker": "b"}},
            "updateStrategy": {"type": "OnDelete"},
            "template": {"metadata": {"labels": {"broker": "b"}}, "spec": pod()},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }


def at(path: str, value: Any) -> Manifest:
    """A manifest with one value at a dotted path."""
    manifest: Any = value
    for field in reversed(path.split(".")):
        manifest = {field: manifest}
    result: Manifest = manifest
    return result


def differ(path: str, after: Any, before: Any) -> list[str]:
    return [change.path for change in changes(at(path, after), at(path, before))]


REQUEST = "spec.resources.requests.storage"


@pytest.mark.parametrize(
    ("after", "before"),
    [
        *(("1Gi", "1024Mi"), ("1", 1), (1, "1"), ("0.5", "500m"), ("1E", "1000P"), ("1e3", "1k")),
        *(("1.5Gi", "1536Mi"), ("0.1n", "1n"), (0.5, "500m"), ("100u", "0.1m"), ("0", "0")),
    ],
)
def test_quantities_are_compared_by_value(after: Any, before: Any) -> None:
    assert differ(REQUEST, after, before) == []


@pytest.mark.parametrize(
    ("after", "before"), [("1Gi", "1G"), ("1", "1m"), ("1Gi", "plenty"), ("x", "y"), (True, "1")]
)
def test_different_quantities_are_a_change(after: Any, before: Any) -> None:
    assert differ(REQUEST, after, before) == [REQUEST]


@pytest.mark.parametrize(
    "path", ["spec.capacity.storage", "data.limit", "metadata.annotations.memory"]
)
def test_what_only_looks_like_a_quantity_is_text(path: str) -> None:
    assert differ(path, "1Gi", "1024Mi") == [path]


def test_the_size_limit_of_a_volume_and_a_divisor_are_quantities() -> None:
    assert differ("spec.emptyDir.sizeLimit", "1Gi", "1024Mi") == []
    assert differ("resourceFieldRef.divisor", "1Mi", "1024Ki") == []


@pytest.mark.parametrize(
    ("after", "before"), [(80, "80"), ("80", 80), (1, True), (False, 0), (80, 81)]
)
def test_int_or_string_and_booleans_are_compared_strictly(after: Any, before: Any) -> None:
    assert differ("spec.targetPort", after, before) == ["spec.targetPort"]


def test_one_number_has_one_value() -> None:
    assert differ("spec.weight", 1.0, 1) == []


@pytest.mark.parametrize("nothing", [None, {}, [], "", 0, False, {"a": {}, "b": None}])
def test_what_is_empty_equals_absent(nothing: Any) -> None:
    assert changes({"spec": {"field": nothing}}, {"spec": {}}) == ()
    assert changes({"spec": {"field": nothing}}, {}) == ()


@pytest.mark.parametrize("nothing", [None, {}])
def test_an_empty_wish_accepts_what_is_there(nothing: Any) -> None:
    assert differ("spec.field", nothing, {"x": 1}) == []


@pytest.mark.parametrize(
    ("path", "zero"),
    [
        ("spec.replicas", 0),
        ("spec.automountServiceAccountToken", False),
        ("spec.storageClassName", ""),
        ("securityContext.runAsUser", 0),
        ("volume.emptyDir", {}),
        ("metadata.labels.role", ""),
        ("data.file", ""),
    ],
)
def test_a_zero_that_says_something_differs_from_absent(path: str, zero: Any) -> None:
    assert differ(path, zero, None)
    assert differ(path, zero, zero) == []


def test_an_empty_list_is_not_an_object() -> None:
    assert differ("spec.field", [], {"x": 1}) == ["spec.field"]


def test_environment_variables_may_stand_in_any_order() -> None:
    desired, observed = stateful_set(), stateful_set()
    container(observed)["env"].reverse()
    assert changes(desired, observed) == ()


def test_a_missing_variable_is_named() -> None:
    desired, observed = stateful_set(), stateful_set()
    del container(observed)["env"][0]
    (change,) = changes(desired, observed)
    assert change == FieldChange(
        "spec.template.spec.containers[name=broker].env[name=A]", None, {"name": "A", "value": "1"}
    )


def test_an_injected_container_or_variable_is_no_change() -> None:
    desired, observed = stateful_set(), stateful_set()
    container(observed)["env"].insert(0, {"name": "INJECTED", "value": "x"})
    containers = observed["spec"]["template"]["spec"]["containers"]
    containers.insert(0, {"name": "sidecar", "image": "envoy"})
    assert changes(desired, observed) == ()


def test_ports_are_matched_by_number_and_protocol_with_tcp_as_default() -> None:
    desired, observed = stateful_set(), stateful_set()
    container(observed)["ports"] = [
        {"containerPort": 10911, "protocol": "UDP"},
        {"containerPort": 10911, "protocol": "TCP", "name": "other"},
    ]
    (change,) = changes(desired, observed)
    assert change.path.endswith("ports[containerPort=10911,protocol=TCP].name")


def test_a_service_port_is_matched_by_its_port() -> None:
    desired = {"spec": {"ports": [{"port": 9876, "targetPort": 9876}]}}
    observed = {
        "spec": {"ports": [{"port": 1}, {"port": 9876, "targetPort": 9876, "protocol": "TCP"}]}
    }
    assert changes(desired, observed) == ()


@pytest.mark.parametrize("observed", [["sh"], ["sh", "mqbroker", "x"], ["mqbroker", "sh"]])
def test_an_atomic_list_must_be_the_same(observed: list[str]) -> None:
    assert differ("spec.args", ["sh", "mqbroker"], observed)


def test_an_element_of_an_atomic_list_may_have_defaults() -> None:
    after = [{"key": "mq", "operator": "Exists"}]
    before = [{"key": "mq", "operator": "Exists", "effect": "NoSchedule"}]
    assert differ("spec.tolerations", after, before) == []


def test_keys_that_do_not_tell_items_apart_make_the_list_atomic() -> None:
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    assert differ("containers.env", twice, twice) == []
    assert differ("containers.env", twice, twice[:1]) == ["containers.env"]


def test_a_label_with_dots_is_named_without_doubt() -> None:
    (change,) = changes(
        {"metadata": {"labels": {"app.kubernetes.io/name": "a"}}}, {"metadata": {"labels": {}}}
    )
    assert change.path == 'metadata.labels["app.kubernetes.io/name"]'


def test_the_type_is_not_a_field() -> None:
    assert changes({"apiVersion": "v1", "kind": "Service"}, {}) == ()


# --- properties over a whole object -------------------------------------------------------------


def container(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = manifest["spec"]["template"]["spec"]["containers"][0]
    return found


def nodes(value: Any) -> list[Any]:
    """Every object and list inside a value, itself included."""
    children: list[Any] = []
    if isinstance(value, dict):
        children = list(value.values())
    elif isinstance(value, list):
        children = value
    return ([value] if isinstance(value, (dict, list)) else []) + [
        node for child in children for node in nodes(child)
    ]


MERGED = {"containers", "env", "volumes", "volumeMounts", "ownerReferences", "volumeClaimTemplates"}


def merged_lists(value: Any, field: str = "") -> list[list[Any]]:
    if isinstance(value, list):
        here = [value] if field in MERGED else []
        return here + [found for item in value for found in merged_lists(item)]
    if isinstance(value, dict):
        return [found for name, child in value.items() for found in merged_lists(child, name)]
    return []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(data=st.data())
def test_an_object_is_a_subset_of_itself_plus_anything(data: st.DataObject) -> None:
    observed = stateful_set()
    maps = [node for node in nodes(observed) if isinstance(node, dict)]
    for _ in range(data.draw(st.integers(1, 6))):
        node = data.draw(st.sampled_from(maps))
        node["server-" + data.draw(st.text(max_size=3))] = data.draw(JSON)
    for number in range(data.draw(st.integers(0, 4))):
        items = data.draw(st.sampled_from(merged_lists(observed)))
        path, other = f"/other-{number}", {"name": f"other-{number}"}
        item = {"uid": path, "mountPath": path, "metadata": other, **other}
        items.insert(data.draw(st.integers(0, len(items))), item)
    assert changes(stateful_set(), observed) == ()


def leaves(value: Any, name: str = "") -> list[tuple[dict[str, Any] | list[Any], Any, str]]:
    """(holder, position, path) of every leaf that is no merge key."""
    found = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for position, child in pairs:
        if isinstance(child, (dict, list)):
            found += leaves(child, f"{name}.{position}")
        elif position not in IDENTITY and name:
            found.append((value, position, f"{name}.{position}"))
    return found


IDENTITY = {"apiVersion", "kind", "name", "uid", "containerPort", "protocol", "mountPath"} | {
    "topologyKey",
    "whenUnsatisfiable",
}


@given(data=st.data())
def test_changing_one_leaf_of_ours_is_exactly_one_change_there(data: st.DataObject) -> None:
    observed = stateful_set()
    holder, position, path = data.draw(st.sampled_from(leaves(observed)))
    before = holder[position]
    holder[position] = f"not {before}"
    (change,) = changes(stateful_set(), observed)
    assert (change.before, change.after) == (f"not {before}", before)
    wanted = [part for part in path.split(".") if part and not part.isdigit()]
    assert [part for part in wanted if part not in change.path] == []


@given(data=st.data())
def test_dropping_one_leaf_of_ours_is_exactly_one_change(data: st.DataObject) -> None:
    observed = stateful_set()
    maps = [leaf for leaf in leaves(observed) if isinstance(leaf[0], dict)]
    holder, position, _ = data.draw(st.sampled_from(maps))
    del holder[position]
    assert len(changes(stateful_set(), observed)) == 1


def overlaid(desired: Any, observed: Any) -> Any:
    """The observed object after our fields were written over it, lists as a whole."""
    if isinstance(desired, dict) and isinstance(observed, dict):
        return observed | {
            field: overlaid(child, observed.get(field)) for field, child in desired.items()
        }
    return copy.deepcopy(desired)


FIELDS = st.sampled_from(["spec", "env", "containers", "labels", "name", "emptyDir", "a", "b"])
MANIFESTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "1", "1Gi", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)


@given(
    desired=st.dictionaries(FIELDS, MANIFESTS, max_size=4),
    observed=st.dictionaries(FIELDS, MANIFESTS, max_size=4),
)
def test_nothing_differs_after_our_fields_were_written(
    desired: Manifest, observed: Manifest
) -> None:
    assert changes(desired, overlaid(desired, observed)) == ()


# --- the fingerprint of the fields that we set --------------------------------------------------


def test_the_fingerprint_knows_paths_and_not_values() -> None:
    one, two = stateful_set(), stateful_set()
    two["spec"]["replicas"] = 5
    container(two)["env"].reverse()
    container(two)["image"] = "other"
    assert applied_fields(one) == applied_fields(two)


@given(data=st.data())
def test_a_field_that_we_stop_setting_changes_the_fingerprint(data: st.DataObject) -> None:
    less = stateful_set()
    maps = [leaf for leaf in leaves(less) if isinstance(leaf[0], dict)]
    holder, position, _ = data.draw(st.sampled_from(maps))
    del holder[position]
    assert applied_fields(less) != applied_fields(stateful_set())


def test_an_item_that_we_stop_setting_changes_the_fingerprint_though_the_diff_is_empty() -> None:
    less = stateful_set()
    del container(less)["env"][0]
    assert changes(less, stateful_set()) == ()
    assert applied_fields(less) != applied_fields(stateful_set())


def test_another_volume_source_changes_the_fingerprint() -> None:
    path = {"spec": {"volumes": [{"name": "a", "hostPath": {"path": "/x"}}]}}
    empty: Manifest = {"spec": {"volumes": [{"name": "a", "emptyDir": {}}]}}
    assert applied_fields(path) != applied_fields(empty)


def test_the_fingerprint_is_stable_across_releases() -> None:
    assert applied_fields(stateful_set()) == "191d68549130df99"
