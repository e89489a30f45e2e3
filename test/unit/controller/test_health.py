import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from controller.health import Answer, HealthServer, HealthSettings, answer
from controller.metrics import Metrics


def server(
    *, metrics_port: int = 8080, probe_port: int = 8081, dead: list[str], unready: list[str]
) -> HealthServer:
    return HealthServer(
        HealthSettings(metrics_port=metrics_port, probe_port=probe_port),
        Metrics().registry,
        dead=lambda: dead,
        unready=lambda: unready,
    )


async def asked(server: HealthServer, port: int, path: str) -> web.Response:
    """The answer of the application of a port, without a socket."""
    request = make_mocked_request("GET", path)
    resolved = await server.applications()[port].router.resolve(request)
    response = await resolved.handler(request)
    assert isinstance(response, web.Response)
    return response


def paths(application: web.Application) -> set[str]:
    return {resource.canonical for resource in application.router.resources()}


def test_each_thing_that_is_wrong_has_a_line() -> None:
    assert answer([], wrong_is="not ready") == Answer(200, "ok\n")
    found = answer(["pods", "services"], wrong_is="not ready")
    assert found == Answer(500, "not ready: pods\nnot ready: services\n")


@pytest.mark.parametrize(
    ("metrics_port", "probe_port", "served"),
    [
        (8080, 8081, {8080: {"/metrics"}, 8081: {"/healthz", "/readyz"}}),
        (9000, 9000, {9000: {"/metrics", "/healthz", "/readyz"}}),
        (0, 8081, {8081: {"/healthz", "/readyz"}}),
        (8080, 0, {8080: {"/metrics"}}),
        (0, 0, {}),
    ],
)
async def test_ports_serve_what_they_were_given(
    metrics_port: int, probe_port: int, served: dict[int, set[str]]
) -> None:
    made = server(metrics_port=metrics_port, probe_port=probe_port, dead=[], unready=[])
    assert {port: paths(app) for port, app in made.applications().items()} == served


async def test_health_and_readiness_are_two_questions() -> None:
    unready = ["pods"]
    made = server(dead=[], unready=unready)
    assert (await asked(made, 8081, "/healthz")).status == 200
    response = await asked(made, 8081, "/readyz")
    assert (response.status, response.text) == (500, "not ready: pods\n")
    unready.clear()
    assert (await asked(made, 8081, "/readyz")).status == 200


async def test_a_dead_task_is_named() -> None:
    response = await asked(server(dead=["pods"], unready=[]), 8081, "/healthz")
    assert (response.status, response.text) == (500, "ended: pods\n")


async def test_metrics_are_served_in_the_text_format() -> None:
    response = await asked(server(dead=[], unready=[]), 8080, "/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    assert isinstance(response.body, bytes)
    assert b"rocketmq_operator_apply_noop_total 0.0" in response.body
