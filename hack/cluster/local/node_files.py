"""The configuration files of a node's programs, as text."""

import json
from dataclasses import dataclass
from pathlib import Path

from local.addresses import Plan

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CONTAINERD_ROOT = "/var/lib/containerd"
KUBELET_ROOT = "/var/lib/kubelet"
MAX_PODS = 200


@dataclass(frozen=True)
class Node:
    """What the files need to know of the node."""

    name: str
    plan: Plan
    folder: Path
    cgroup: str
    snapshotter: str


def render_containerd(cni_programs: Path, cni_folder: Path, pause: str, snapshotter: str) -> str:
    """Return containerd's configuration."""
    return f"""version = 2
root = "{CONTAINERD_ROOT}"
state = "/run/containerd"
oom_score = 0
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Without CAP_SYS_RESOURCE runc may not lower a score, and every sandbox would fail.
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_programs}"
    conf_dir = "{cni_folder}"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def render_cni(plan: Plan, version: str) -> str:
    """Return the pod network: one bridge, and host ports."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,  # a pod reaches itself through its own Service
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni",
            "ranges": [[{"subnet": str(plan.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return _json({"cniVersion": version, "name": "pods", "plugins": [bridge, portmap]})


def render_kubelet(node: Node) -> str:
    """Return the kubelet's configuration."""
    keys = node.folder / "keys"
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(node.plan.node),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(keys / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(keys / "kubelet.crt"),
        "tlsPrivateKeyFile": str(keys / "kubelet.key"),
        "clusterDomain": "cluster.local",
        "clusterDNS": [str(node.plan.dns_service)],
        "resolvConf": str(node.folder / "resolv.conf"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupRoot": node.cgroup,
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,  # lowering it needs CAP_SYS_RESOURCE
        "maxPods": MAX_PODS,
        "registerNode": True,
        "eventRecordQPS": 50,
        **_DISK,
    }
    return _json(config)


# A node of tests must not evict its pods or delete its images because the disk is nearly full.
_DISK = {
    "evictionHard": {
        "memory.available": "50Mi",
        "nodefs.available": "10Mi",
        "nodefs.inodesFree": "1%",
        "imagefs.available": "10Mi",
        "imagefs.inodesFree": "1%",
    },
    "imageGCHighThresholdPercent": 100,
    "imageGCLowThresholdPercent": 99,
    "containerLogMaxSize": "20Mi",
}


def render_kube_proxy(node: Node, kubeconfig: Path) -> str:
    """Return kube-proxy's configuration."""
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": node.name,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": str(node.plan.pods),
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "oomScoreAdj": 0,
        # The size of the connection table belongs to the host, not to this network namespace.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s"},
        "iptables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
    }
    return _json(config)


def render_corefile(kubeconfig: Path) -> str:
    """Return CoreDNS's configuration: names of the cluster, and a quick no for all others."""
    return f""".:53 {{
    errors
    health 127.0.0.1:8080
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }}
    cache 30 {{
        disable success cluster.local
        disable denial cluster.local
    }}
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
