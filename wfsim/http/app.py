"""The application: paths, their parameters, and what each answers.

The page that shows what may be asked needs this server and nothing else: FastAPI's own
page takes Swagger UI from a server far away, which a control plane cannot reach;
`fastapi_offline` brings the files along.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import fastapi_offline
from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from wfsim.engine.service import MAX_PAGE_SIZE, PAGE_SIZE, TENANT
from wfsim.errors import (
    CANCEL_FAILED,
    CREATE_FAILED,
    DETAIL_FAILED,
    FORBIDDEN,
    MARSHAL_ERROR,
    PARAMETER_INVALID,
    QUERY_FAILED,
    SERVER_CALL_FAILED,
    START_FAILED,
    STOP_FAILED,
    UNRECOGNIZED,
    ServiceError,
    StoreError,
    UsageError,
)
from wfsim.http.guard import Guard
from wfsim.http.live import FlowCounts, LiveService, ServiceClosed
from wfsim.http.messages import (
    LONGEST,
    BeginRequest,
    CancelRequest,
    Created,
    CreateRequest,
    Detail,
    Envelope,
    FlowReference,
    Flows,
    NoContent,
    Paged,
    Paging,
    Refusal,
    refusal,
)
from wfsim.http.metrics import CONTENT_TYPE, CountedAnswers, RequestMetrics
from wfsim.sim.sqlite import Lost

if TYPE_CHECKING:
    from fastapi.responses import JSONResponse

BASE = "/api/v1"
METRICS = "/metrics"
DOCS_FILES = FilePath(fastapi_offline.__file__).parent / "static"
_DOCS_FILES_AT = "/docs-files"
PATIENCE = 30.0
"""Real seconds that an answer may take, as in the reference's calls of its service."""

_log = logging.getLogger(__name__)

Name: TypeAlias = Annotated[str, Query(max_length=LONGEST)]
Number: TypeAlias = Annotated[int, Query(ge=-(2**63), lt=2**63)]
FlowId: TypeAlias = Annotated[str, Path(alias="workFlowId", max_length=LONGEST)]
Tenant: TypeAlias = Annotated[
    str, Header(alias="Em-X-Tenant-Id", pattern=r"^[A-Za-z0-9._-]{1,64}$")
]
Printable: TypeAlias = Annotated[str, Header(max_length=LONGEST, pattern=r"^[ -~]*$")]
User: TypeAlias = Annotated[Printable, Header(alias="Em-X-User-Id")]
Trace: TypeAlias = Annotated[Printable, Header(alias="Em-X-Trace-Id")]
Done: TypeAlias = Envelope[NoContent]

_REFUSALS = {
    400: "10001: invalid. 10004: query or body cannot be read. 9993: busy with another.",
    404: "9996: no such flow. 40104: no such definition.",
    413: "10001: the body is too large.",
    500: "40100 to 40107: it cannot be done. 9999, 10000: the service is out of order.",
}
_ID = "$response.body#/data/workFlowId"
_LINKS: dict[str, Any] = {
    "show": {"operationId": "detail", "parameters": {"workFlowId": _ID}},
    **{
        verb: {"operationId": verb, "requestBody": {"workFlowId": _ID}}
        for verb in ("start", "stop", "cancel")
    },
}
_UNAUTHORIZED = {401: "70600: no token, or not the one."}
_FOREIGN_HOST = {403: "70650: Host is no name of this machine, or not for this tenant."}
_ONLY_GET = ("get",)
# What cannot be read at all, in the words of pydantic; all else is read, but refused.
_UNREADABLE = ("json_invalid", "_type", "_parsing", "_parsing_size", "_unicode")


class ServiceClient:
    """The service as a request's tenant sees it."""

    def __init__(self, request: Request, tenant: Tenant = TENANT) -> None:
        self._service: LiveService = request.app.state.service
        self._tenant = tenant

    async def ask(self, failed: int, operation: str, *args: Any, **keywords: Any) -> Any:
        """Return the service's answer, of the request's tenant alone.

        *failed* is the code if its store fails.
        """
        return await self._ask(failed, operation, *args, tenant=self._tenant, **keywords)

    async def begin(self, flow_name: str, biz_id: str | None) -> Any:
        """Return the id of the flow that its caller has begun."""
        if self._tenant != TENANT:
            text = (
                f"begin works for tenant {TENANT!r} alone; create the flow and start it"
            )
            raise ServiceError(FORBIDDEN, text)
        return await self._ask(CREATE_FAILED, "begin", flow_name, biz_id)

    async def count(self) -> FlowCounts:
        """Return how many flows and nodes there are, of all tenants."""
        counts: FlowCounts = await self._ask(QUERY_FAILED, "count")
        return counts

    async def _ask(self, failed: int, operation: str, *args: Any, **keywords: Any) -> Any:
        try:
            answer = self._service.ask(operation, *args, **keywords)
            return await asyncio.wait_for(asyncio.wrap_future(answer), PATIENCE)
        except StoreError:
            raise ServiceError(failed, "the store did not take it") from None
        except (ServiceClosed, Lost) as error:
            raise ServiceError(SERVER_CALL_FAILED, "the service has stopped") from error
        except UsageError as error:
            raise ServiceError(PARAMETER_INVALID, str(error)) from error
        except TimeoutError:
            text = f"no answer within {PATIENCE:g} s; it may have been done"
            raise ServiceError(SERVER_CALL_FAILED, text) from None
        except ServiceError:
            raise
        except Exception as error:
            _log.exception("%s came to nothing", operation)
            raise ServiceError(UNRECOGNIZED, type(error).__name__) from error


Client: TypeAlias = Annotated[ServiceClient, Depends()]
router = APIRouter(prefix="/workflow", tags=["workflow"])


@router.get("/", response_model=Paged, summary="List flows")
async def list_flows(
    service: Client,
    status: Name = "",
    flow_name: Annotated[Name, Query(alias="flowName")] = "",
    biz_id: Annotated[Name, Query(alias="bizId")] = "",
    biz_type: Annotated[Name, Query(alias="bizType")] = "",
    page: Number = 1,
    page_size: Annotated[Number, Query(alias="pageSize")] = PAGE_SIZE,
) -> Paged:
    """Return a page of the tenant's flows that fit, newest first.

    `flowName` is any part of the name; `bizId`, `bizType` and `status` are compared
    whole; what is empty fits all. Pages count from 1.
    """
    wanted = (biz_id, biz_type, flow_name, status, page, page_size)
    answer = await service.ask(QUERY_FAILED, "list", *wanted)
    paging = Paging(page=answer.page, pageSize=answer.page_size, total=answer.total)
    return Paged(data=Flows.of(answer), page=paging)


@router.get("/{workFlowId}", response_model=Envelope[Detail], summary="Show a flow")
async def detail(service: Client, flow_id: FlowId) -> Envelope[Detail]:
    """Return the flow, every node that was begun, and the names on its main path."""
    answer = await service.ask(DETAIL_FAILED, "detail", flow_id)
    return Envelope(data=Detail.of(answer))


@router.post(
    "/",
    response_model=Envelope[Created],
    summary="Create a flow",
    responses={200: {"links": _LINKS}},
)
async def create(
    service: Client, body: CreateRequest, user: User = "", trace: Trace = ""
) -> Envelope[Created]:
    """Create a flow, Initializing until started; it is stored when the answer arrives.

    `context` is all that its nodes get: those that miss something in it fail. To have it
    filled in by the flow's caller, `begin` the flow instead.
    """
    about = (body.bizId, body.bizType, body.flowName)
    more = {"context": body.context, "user": user, "trace": trace}
    flow_id = await service.ask(CREATE_FAILED, "create", *about, **more)
    return Envelope(data=Created(workFlowId=flow_id))


@router.post(
    "/begin",
    response_model=Envelope[Created],
    summary="Begin a flow as its caller does",
    responses={
        200: {"links": _LINKS},
        403: {"model": Refusal, "description": "70650: not for this tenant."},
        409: {"model": Refusal, "description": "20114: somebody else has the lock."},
    },
)
async def begin(service: Client, body: BeginRequest) -> Envelope[Created]:
    """Take the lock, register new objects, create the flow and start it.

    The business endpoints of the reference do that; without callers in the scenario it
    is the same as to create and start.
    """
    flow_id = await service.begin(body.flowName, body.bizId)
    return Envelope(data=Created(workFlowId=flow_id))


@router.post("/start", response_model=Done, summary="Start a flow")
async def start(service: Client, flow: FlowReference) -> Done:
    """Continue the flow from where it is, from the next tick on."""
    await service.ask(START_FAILED, "start", flow.workFlowId)
    return Done(data=NoContent())


@router.post("/stop", response_model=Done, summary="Stop a flow")
async def stop(service: Client, flow: FlowReference) -> Done:
    """Stop the flow after the node under way, until it is started again."""
    await service.ask(STOP_FAILED, "stop", flow.workFlowId)
    return Done(data=NoContent())


@router.post("/cancel", response_model=Done, summary="Cancel a flow")
async def cancel(service: Client, flow: CancelRequest) -> Done:
    """End the flow at the next tick; the reason is kept."""
    await service.ask(CANCEL_FAILED, "cancel", flow.workFlowId, flow.reason)
    return Done(data=NoContent())


class Application(FastAPI):
    """FastAPI, but its OpenAPI page has no 422: here that is a 400 in the envelope."""

    def openapi(self) -> dict[str, Any]:
        """Return the description of what is answered, and nothing else."""
        if self.openapi_schema is None:
            document = super().openapi()
            for path in document["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
        return super().openapi()


def application(
    service: LiveService, *, token: str = "", title: str = "", host: str = ""
) -> FastAPI:
    """Return the application that passes requests on to *service*.

    *token* and *host* are what the `Guard` asks for.
    """
    refusals = _REFUSALS | (_UNAUTHORIZED if token else _FOREIGN_HOST)
    app = Application(
        title=title or "Workflow service",
        generate_unique_id_function=lambda route: route.name,
        version="v1",
        description=f"Pages have {PAGE_SIZE} flows, or up to {MAX_PAGE_SIZE} if asked.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    _add_docs(app)
    metrics = _add_metrics(app)
    app.include_router(
        router,
        prefix=BASE,
        # The guard has looked at it by then; this is for the OpenAPI page.
        dependencies=[Depends(HTTPBearer(auto_error=False))] if token else [],
        responses={
            status: {"model": Refusal, "description": text}
            for status, text in refusals.items()
        },
    )
    app.add_middleware(Guard, token=token, protected=(BASE, METRICS), host=host)
    app.add_middleware(CountedAnswers, metrics=metrics)
    app.add_exception_handler(ServiceError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _impossible)
    return app


def _add_docs(app: FastAPI) -> None:
    """Show the OpenAPI description of *app* at ``/docs``, and at ``/`` too."""
    app.mount(_DOCS_FILES_AT, StaticFiles(directory=DOCS_FILES))

    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=str(app.openapi_url),
            title=app.title,
            swagger_js_url=f"{_DOCS_FILES_AT}/swagger-ui-bundle.js",
            swagger_css_url=f"{_DOCS_FILES_AT}/swagger-ui.css",
            swagger_favicon_url=f"{_DOCS_FILES_AT}/favicon.png",
        )

    for path in ("/", "/docs"):
        app.add_api_route(path, docs, include_in_schema=False, response_model=None)


def _add_metrics(app: FastAPI) -> RequestMetrics:
    """Show metrics in the format of Prometheus at ``/metrics``; return the counter."""
    metrics = RequestMetrics()

    async def show(service: Client) -> Response:
        text = metrics.text(await service.count())
        return Response(text, media_type=CONTENT_TYPE)

    app.add_api_route(METRICS, show, include_in_schema=False, response_model=None)
    return metrics


async def _refused(_: Request, error: Any) -> JSONResponse:
    return refusal(error)


async def _invalid(request: Request, error: Any) -> JSONResponse:
    """Name the first thing that is wrong: 10004 if it cannot be read, else 10001."""
    first = error.errors()[0]
    unreadable = first["type"].endswith(_UNREADABLE)
    where = ".".join(str(part) for part in first["loc"])
    text = f"{where}: {first['msg']}"[: 2 * LONGEST]
    content_type = request.headers.get("Content-Type", "")
    if where == "body" and unreadable and "json" not in content_type.lower():
        text = "body: it is not said to be JSON; add 'Content-Type: application/json'"
    code = MARSHAL_ERROR if unreadable else PARAMETER_INVALID
    return refusal(ServiceError(code, text), 400)


async def _impossible(request: Request, error: Any) -> JSONResponse:
    """Refuse a path or a method that does not exist, or a body that is no JSON."""
    code = MARSHAL_ERROR if error.status_code == 400 else PARAMETER_INVALID
    path = request.url.path
    text = f"{request.method} {path}: {error.detail}"[: 2 * LONGEST]
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # FastAPI names the methods of one of the routes of that path only.
        paths = request.app.openapi()["paths"]
        methods = paths.get(path, _ONLY_GET)
        if path.startswith(f"{BASE}/workflow/"):
            methods = paths.get(path) or paths[f"{BASE}/workflow/{{workFlowId}}"]
        headers["Allow"] = ", ".join(sorted(map(str.upper, methods)))
    return refusal(ServiceError(code, text), error.status_code, headers)
