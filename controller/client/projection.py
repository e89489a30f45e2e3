"""From the bytes of an observed object to what is cached of it. Pure.

Nothing that is kept refers to the bytes it came from: a page of a list is freed as a whole.
managedFields, half of many objects and of no use here, are never decoded and never kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Raw

from controller.objects import HasMetadata, ObjectMeta, Snapshot, Undecodable

T = TypeVar("T", bound=HasMetadata)

Encoded = bytes | bytearray | Raw
"""JSON of one object."""


class _MetadataOnly(msgspec.Struct):
    metadata: ObjectMeta


_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_METADATA = msgspec.json.Decoder(ObjectMeta)
_METADATA_ONLY = msgspec.json.Decoder(_MetadataOnly)
_NOTHING = Raw(b"")


def snapshot(raw: Encoded) -> Snapshot:
    """The object with typed metadata and its encoded body, without managedFields.

    Raises msgspec.DecodeError for what is no Kubernetes object.
    """
    fields = _FIELDS.decode(raw)
    metadata = _FIELDS.decode(fields.get("metadata", _NOTHING))
    # First, so that nothing below has to read over it: it is often half of the object.
    metadata.pop("managedFields", None)
    kept = msgspec.json.encode(metadata)
    fields["metadata"] = Raw(kept)
    return Snapshot(_METADATA.decode(kept), msgspec.json.encode(fields))


def typed(kind: type[T]) -> Callable[[Encoded], T | Undecodable]:
    """A decoder for objects of a custom resource.

    An object that does not fit the type is decoded to `Undecodable`, with the path and the reason.
    The decoder raises msgspec.DecodeError for what is no Kubernetes object.
    """
    decoder = msgspec.json.Decoder(kind)

    def decode(raw: Encoded) -> T | Undecodable:
        try:
            return decoder.decode(raw)
        except msgspec.ValidationError as error:
            return Undecodable(_METADATA_ONLY.decode(raw).metadata, str(error))

    return decode
