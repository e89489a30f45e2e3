"""Every gate of `rocketmq.versions`, asked of a server of each version."""

from __future__ import annotations

import pytest

from fakes.rocketmq_servers import Servers
from rocketmq.calls import Request
from rocketmq.codes import MQVersion, RequestCode
from rocketmq.errors import NoAnswerError, ResponseError, UnsupportedError
from rocketmq.pool import Pool
from rocketmq.versions import GATES, supports

_NAME_SERVER = {RequestCode.ADD_WRITE_PERM_OF_BROKER, RequestCode.GET_BROKER_MEMBER_GROUP}


@pytest.mark.parametrize("code", GATES, ids=lambda code: code.name)
async def test_a_server_knows_the_code_exactly_when_the_table_says_so(
    servers: Servers, super_pool: Pool, code: RequestCode
) -> None:
    version = MQVersion[f"V{servers.version.replace('.', '_')}"]
    assert await _is_known(super_pool, _server_of(servers, code), code) == supports(version, code)


def _server_of(servers: Servers, code: RequestCode) -> str:
    if code in _NAME_SERVER:
        return servers.name_servers[0]
    of_controller = code.name.startswith("CONTROLLER_") or code in {
        RequestCode.CLEAN_BROKER_DATA,
        RequestCode.GET_CONTROLLER_CONFIG,
        RequestCode.UPDATE_CONTROLLER_CONFIG,
    }
    if of_controller and servers.controllers:
        return servers.controllers[0]
    return servers.guarded


async def _is_known(pool: Pool, address: str, code: RequestCode) -> bool:
    """Most requests here lack their header: any answer but "not supported" means known."""
    try:
        await pool.call(address, Request(code), timeout_s=2.0)
    except UnsupportedError:
        return False
    except NoAnswerError:
        # Name servers before 5.0 leave a code that they do not know without an answer.
        assert code in _NAME_SERVER
        return False
    except ResponseError:
        return True
    return True
