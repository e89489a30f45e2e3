from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from controller.client.client import KubeClient
from controller.client.config import load_config
from controller.client.transport import AiohttpTransport
from fakes.control_plane import ControlPlane


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[KubeClient]:
    """Our own client with all rights, in the name of the field manager `test`."""
    config = await load_config(str(control_plane.kubeconfig))
    async with AiohttpTransport(config) as transport:
        yield KubeClient(transport, field_manager="test")
