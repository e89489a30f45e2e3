"""The kinds that this operator defines, in the order in which they are shown. Pure."""

from __future__ import annotations

from reconcilers.api.broker import BROKER_DEFINITION
from reconcilers.api.name_service import NAME_SERVICE_DEFINITION
from reconcilers.api.topic_transfer import TOPIC_TRANSFER_DEFINITION

DEFINITIONS = (NAME_SERVICE_DEFINITION, BROKER_DEFINITION, TOPIC_TRANSFER_DEFINITION)
"""A kind that is missing here has no CRD, no reference and no samples test."""
