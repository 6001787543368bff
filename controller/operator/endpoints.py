"""What the controller serves over HTTP: /livez, /readyz and /metrics, and how any routes are served."""

from collections.abc import Callable, Iterable

from aiohttp import web

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text exposition format."""


async def serve(routes: Iterable[web.AbstractRouteDef], *, address: str, port: int) -> web.AppRunner:
    """Starts to serve; the runner's `cleanup` ends it. Raises OSError where the port is taken."""
    application = web.Application()
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    return runner


def own_routes(
    *, alive: Callable[[], bool], ready: Callable[[], bool], exposition: Callable[[], bytes]
) -> list[web.AbstractRouteDef]:
    """Probes and metrics."""

    async def livez(_: web.Request) -> web.Response:
        return _answer(alive(), "the sweep stands still")

    async def readyz(_: web.Request) -> web.Response:
        return _answer(ready(), "the first sweep has not ended")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE})

    return [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]


def _answer(good: bool, otherwise: str) -> web.Response:
    return web.Response(text="ok\n") if good else web.Response(status=503, text=f"{otherwise}\n")
