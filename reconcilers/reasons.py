"""Types and reasons of conditions, which are also the reasons of Events. Pure."""

from __future__ import annotations

READY = "Ready"
PROGRESSING = "Progressing"
DEGRADED = "Degraded"
CONFIGURATION_ACCEPTED = "ConfigurationAccepted"

# Ready=True, Progressing=False, Degraded=False
ALL_READY = "AllReady"
SETTLED = "Settled"
HEALTHY = "Healthy"

# On the way
PODS_NOT_READY = "PodsNotReady"
CREATING_PODS = "CreatingPods"
STARTING_PODS = "StartingPods"
OPENING_GROUPS = "OpeningGroups"
REMOVING_PODS = "RemovingPods"
GROWING_VOLUMES = "GrowingVolumes"

# Somebody has to do something
INVALID_SPEC = "InvalidSpec"
INSUFFICIENT_MEMORY = "InsufficientMemory"
WRITE_REFUSED = "WriteRefused"
POD_UNSCHEDULABLE = "PodUnschedulable"
POD_CRASHING = "PodCrashing"
IMAGE_NOT_PULLED = "ImageNotPulled"
CONTAINER_NOT_CREATED = "ContainerNotCreated"

EMPTY_MASTER = "EmptyMaster"
VOLUME_LOST = "VolumeLost"
VOLUME_NOT_GROWN = "VolumeNotGrown"

GROUP_CLOSED = "GroupClosed"

SCALE_IN_HELD = "ScaleInHeld"
SCALING_IN = "ScalingIn"

# UpToDate
UP_TO_DATE = "UpToDate"
NOT_DECIDED = "NotDecided"
ALL_CURRENT = "AllCurrent"
ROLLING = "Rolling"
WAITING = "Waiting"
HELD = "Held"
RESTART_NOT_ALLOWED = "RestartNotAllowed"
PAUSED = "Paused"

# Steps (Events)
RESTARTING_POD = "RestartingPod"
WRITES_MOVED = "WritesMoved"
WRITES_RESTORED = "WritesRestored"
SETTINGS_PUSHED = "SettingsPushed"
REPLICA_REMOVED = "ReplicaRemoved"
GROUP_LEAVING = "GroupLeaving"
GROUP_DRAINED = "GroupDrained"
GROUP_REMOVED = "GroupRemoved"
GROUP_KEPT = "GroupKept"
COPYING_METADATA = "CopyingMetadata"
GROUP_OPENED = "GroupOpened"
VOLUME_GROWN = "VolumeGrown"
STEP_FAILED = "StepFailed"

# Which name servers (reconcilers.facts.NameServerProblem)
AMBIGUOUS_NAME_SERVICE = "AmbiguousNameService"
NAME_SERVICE_NOT_FOUND = "NameServiceNotFound"
NAME_SERVICE_NOT_READY = "NameServiceNotReady"

# ConfigurationAccepted
ALL_KEYS_ACCEPTED = "AllKeysAccepted"
IDENTITY_KEYS_IGNORED = "IdentityKeysIgnored"

# TopicTransfer
SUCCEEDED = "Succeeded"
ROLLED_BACK = "RolledBack"
PLANNED = "Planned"
TRANSFER_STEP = "TransferStep"
ROLLING_BACK = "RollingBack"
CREDENTIALS_NOT_FOUND = "CredentialsNotFound"
