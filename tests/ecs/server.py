"""
A stand-in for the ECS API: JSON 1.1 over HTTP, on loopback, over real tasks.

Every request and every answer is validated against botocore's own model of the service, so that it cannot
drift from the shapes of the real API. It does only what a gate or a recovery check can see.
"""

import asyncio
import json
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, Self

import botocore.session
from aiohttp import web
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from tests.ecs.balancer import Balancer
from tests.ecs.operations import Operations
from tests.ecs.scheduler import Document, Refused, Scheduler, Service, serving
from tests.ecs.tasks import Runtime

TARGET = "AmazonEC2ContainerServiceV20141113"
_MESSAGES = {
    "ThrottlingException": "Rate exceeded",
    "AccessDeniedException": "User is not authorized to perform this action",
    "ExpiredTokenException": "The security token included in the request is expired",
}
TICK_SECONDS = 0.05


@cache
def model_of_ecs() -> ServiceModel:
    """botocore's model of the service."""
    return botocore.session.get_session().get_service_model("ecs")


class EcsStandIn:
    """Runs in a thread of its own between `with` and its end."""

    def __init__(self, runtime: Runtime, *, balance_port: int | None = None) -> None:
        """`balance_port` is the tasks' port that the stand-in's load balancer spreads connections over."""
        self.scheduler = Scheduler(runtime)
        self.calls: Counter[str] = Counter()
        self.url = ""
        self.balancer: Balancer | None = None
        self._balance_port = balance_port
        self.operations = Operations(self.scheduler)
        self._refusals: defaultdict[str, deque[str]] = defaultdict(deque)
        self._unanswered: Counter[str] = Counter()
        self._model = model_of_ecs()
        self._validator = ParamValidator()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._ticking: asyncio.Task[None] | None = None
        self._runner: web.AppRunner | None = None

    def throttle(self, operation: str, times: int = 1) -> None:
        """The next calls of `operation` are refused with ThrottlingException."""
        self._refusals[operation] += ["ThrottlingException"] * times

    def refuse(self, operation: str, code: str) -> None:
        """The next call of `operation` is refused with this error."""
        self._refusals[operation].append(code)

    def lose_answer(self, operation: str, times: int = 1) -> None:
        """The next calls of `operation` are carried out, and their answers never arrive."""
        self._unanswered[operation] += times

    def run_image(self, digest: str) -> None:
        """The tasks' images have this digest."""
        self.operations.image_digest = digest

    def service(self, name: str) -> Service:
        """A service of the scheduler."""
        return self.scheduler.services[name]

    def settled(self, name: str) -> bool:
        """Whether the service has reached its steady state."""
        return self.service(name).steady

    def __enter__(self) -> Self:
        """Starts to serve and to schedule."""
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *error: object) -> None:
        """Ends every task and connection."""
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def _run(self, part: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(part, self._loop).result(timeout=60)

    async def _start(self) -> None:
        application = web.Application()
        application.router.add_post("/", self._answer)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        if self._balance_port is not None:
            self.balancer = Balancer(self._targets, self._balance_port)
            await self.balancer.start()
        self._ticking = asyncio.ensure_future(self._tick())

    async def _stop(self) -> None:
        assert self._ticking is not None
        assert self._runner is not None
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)
        if self.balancer is not None:
            await self.balancer.close()
        await self.scheduler.close()
        await self._runner.cleanup()

    async def _tick(self) -> None:
        while True:
            await self.scheduler.tick()
            await asyncio.sleep(TICK_SECONDS)

    def _targets(self) -> list[str]:
        return serving([task for each in self.scheduler.services.values() for task in each.tasks])

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        prefix, _, operation = request.headers.get("X-Amz-Target", "").partition(".")
        call = self.operations.named.get(operation)
        self.calls[operation] += 1
        if prefix != TARGET or call is None:
            return _error("UnknownOperationException", f"{operation} is not implemented by the stand-in")
        if self._refusals[operation]:
            code = self._refusals[operation].popleft()
            return _error(code, _MESSAGES[code])
        asked = await request.json()
        if problem := self._problem(operation, "input", asked):
            return _error("InvalidParameterException", problem)
        try:
            answer = self._validated(operation, call, asked)
        except Refused as refused:
            return _error(refused.code, str(refused))
        if self._unanswered[operation] > 0:
            self._unanswered[operation] -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(body=json.dumps(answer, default=_epoch).encode())

    def _validated(self, operation: str, call: Callable[[Document], Document], asked: Document) -> Document:
        answer = call(asked)
        problem = self._problem(operation, "output", answer)
        if problem:
            raise AssertionError(f"the stand-in's answer to {operation} is not one of ECS: {problem}")
        return answer

    def _problem(self, operation: str, side: str, document: Document) -> str:
        shape = getattr(self._model.operation_model(operation), f"{side}_shape")
        report = self._validator.validate(document, shape)
        return str(report.generate_report()) if report.has_errors() else ""


def _error(code: str, message: str) -> web.Response:
    return web.json_response({"__type": code, "message": message}, status=400)


def _epoch(value: object) -> float:
    """JSON 1.1 carries times as seconds since 1970."""
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} has no JSON form")
