"""The application: paths, their parameters, and what each answers."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from wfsim.engine.service import MAX_PAGE_SIZE, PAGE_SIZE, TENANT
from wfsim.engine.service_errors import (
    CANCEL_FAILED,
    CREATE_FAILED,
    DETAIL_FAILED,
    MARSHAL_ERROR,
    PARAMETER_INVALID,
    QUERY_FAILED,
    START_FAILED,
    STOP_FAILED,
    ServiceError,
)
from wfsim.errors import StoreError, UsageError
from wfsim.http.guard import Guard
from wfsim.http.messages import (
    LONGEST,
    BeginRequest,
    CancelRequest,
    Created,
    CreateRequest,
    Detail,
    Envelope,
    FlowRequest,
    Flows,
    Nothing,
    Paged,
    Paging,
    Refusal,
    refusal,
)
from wfsim.http.page import add_page
from wfsim.sim.database import Lost
from wfsim.sim.live import Gone, LiveService

if TYPE_CHECKING:
    from fastapi.responses import JSONResponse

BASE = "/api/v1"
NO_ANSWER, UNRECOGNIZED, FORBIDDEN = 9999, 10000, 70650
PATIENCE = 30.0
"""Real seconds that an answer may take, as in the reference's calls of its service."""

_log = logging.getLogger(__name__)

Name: TypeAlias = Annotated[str, Query(max_length=LONGEST)]
Number: TypeAlias = Annotated[int, Query(ge=-(2**63), lt=2**63)]
FlowId: TypeAlias = Annotated[str, Path(alias="workFlowId", max_length=LONGEST)]
Tenant: TypeAlias = Annotated[
    str, Header(alias="Em-X-Tenant-Id", pattern=r"^[A-Za-z0-9._-]{1,64}$")
]
Told: TypeAlias = Annotated[str, Header(max_length=LONGEST, pattern=r"^[ -~]*$")]
User: TypeAlias = Annotated[Told, Header(alias="Em-X-User-Id")]
Trace: TypeAlias = Annotated[Told, Header(alias="Em-X-Trace-Id")]
Done: TypeAlias = Envelope[Nothing]

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
# What cannot be read at all, in the words of pydantic; all else is read, but refused.
_UNREADABLE = ("json_invalid", "_type", "_parsing", "_parsing_size", "_unicode")


class Asker:
    """Asks the service for a request, in the request's tenant."""

    def __init__(self, request: Request, tenant: Tenant = TENANT) -> None:
        self._service: LiveService = request.app.state.service
        self._tenant = tenant

    async def ask(self, failed: int, operation: str, *args: Any, **keywords: Any) -> Any:
        """Return what the service answers in the request's tenant.

        *failed* is the code if its store fails.
        """
        return await self._ask(failed, operation, *args, tenant=self._tenant, **keywords)

    async def begin(self, flow_name: str, biz_id: str | None) -> Any:
        """Return the id of the flow that its caller has begun."""
        if self._tenant != TENANT:
            text = f"callers are of the tenant {TENANT!r}; create the flow, and start it"
            raise ServiceError(FORBIDDEN, text)
        return await self._ask(CREATE_FAILED, "begin", flow_name, biz_id)

    async def _ask(self, failed: int, operation: str, *args: Any, **keywords: Any) -> Any:
        try:
            answer = self._service.ask(operation, *args, **keywords)
            return await asyncio.wait_for(asyncio.wrap_future(answer), PATIENCE)
        except StoreError:
            raise ServiceError(failed, "the store did not take it") from None
        except (Gone, Lost) as error:
            raise ServiceError(NO_ANSWER, "the service has stopped") from error
        except UsageError as error:
            raise ServiceError(PARAMETER_INVALID, str(error)) from error
        except TimeoutError:
            text = f"no answer within {PATIENCE:g} s; it may have been done"
            raise ServiceError(NO_ANSWER, text) from None
        except ServiceError:
            raise
        except Exception as error:
            _log.exception("%s came to nothing", operation)
            raise ServiceError(UNRECOGNIZED, type(error).__name__) from error


Asking: TypeAlias = Annotated[Asker, Depends()]
router = APIRouter(prefix="/workflow", tags=["workflow"])


@router.get("/", response_model=Paged, summary="List flows")
async def list_flows(
    service: Asking,
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
    found = await service.ask(QUERY_FAILED, "list", *wanted)
    paging = Paging(page=found.page, pageSize=found.page_size, total=found.total)
    return Paged(data=Flows.of(found), page=paging)


@router.get("/{workFlowId}", response_model=Envelope[Detail], summary="Show a flow")
async def detail(service: Asking, flow_id: FlowId) -> Envelope[Detail]:
    """Return the flow, every node that was begun, and the names on its main path."""
    found = await service.ask(DETAIL_FAILED, "detail", flow_id)
    return Envelope(data=Detail.of(found))


@router.post(
    "/",
    response_model=Envelope[Created],
    summary="Create a flow",
    responses={200: {"links": _LINKS}},
)
async def create(
    service: Asking, wanted: CreateRequest, user: User = "", trace: Trace = ""
) -> Envelope[Created]:
    """Create a flow, which is Initializing until it is started; it is kept by then.

    `context` is all that its nodes are told: those that miss something in it fail. To
    have it filled in by the flow's caller, `begin` the flow instead.
    """
    asked = (wanted.bizId, wanted.bizType, wanted.flowName)
    who = {"user": user, "trace": trace}
    made = await service.ask(
        CREATE_FAILED, "create", *asked, context=wanted.context, **who
    )
    return Envelope(data=Created(workFlowId=made))


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
async def begin(service: Asking, wanted: BeginRequest) -> Envelope[Created]:
    """Take the lock, enter what is new in the books, create the flow and start it.

    That is what the business endpoints of the reference do; of a scenario without
    callers it is to create and start.
    """
    made = await service.begin(wanted.flowName, wanted.bizId)
    return Envelope(data=Created(workFlowId=made))


@router.post("/start", response_model=Done, summary="Start a flow")
async def start(service: Asking, flow: FlowRequest) -> Done:
    """Let the flow go on from where it is, from the next tick on."""
    await service.ask(START_FAILED, "start", flow.workFlowId)
    return Done(data=Nothing())


@router.post("/stop", response_model=Done, summary="Stop a flow")
async def stop(service: Asking, flow: FlowRequest) -> Done:
    """Let the flow begin no more nodes, until it is started again."""
    await service.ask(STOP_FAILED, "stop", flow.workFlowId)
    return Done(data=Nothing())


@router.post("/cancel", response_model=Done, summary="Cancel a flow")
async def cancel(service: Asking, flow: CancelRequest) -> Done:
    """End the flow at the next tick; the reason is kept."""
    await service.ask(CANCEL_FAILED, "cancel", flow.workFlowId, flow.reason)
    return Done(data=Nothing())


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


def application(service: LiveService, *, token: str = "", title: str = "") -> FastAPI:
    """Return the application that passes requests on to *service*."""
    refusals = _REFUSALS | (_UNAUTHORIZED if token else {})
    app = Application(
        title=title or "Workflow service",
        generate_unique_id_function=lambda route: route.name,
        version="v1",
        description=f"Pages have {PAGE_SIZE} flows, or up to {MAX_PAGE_SIZE} if asked.",
        docs_url=None,
        redoc_url=None,
    )
    add_page(app)
    app.state.service = service
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
    app.add_middleware(Guard, token=token, inside=BASE)
    app.add_exception_handler(ServiceError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _impossible)
    return app


async def _refused(_: Request, error: Any) -> JSONResponse:
    return refusal(error)


async def _invalid(request: Request, error: Any) -> JSONResponse:
    """Name the first thing that is wrong: 10004 if it cannot be read, else 10001."""
    first = error.errors()[0]
    unreadable = first["type"].endswith(_UNREADABLE)
    where = ".".join(str(part) for part in first["loc"])
    text = f"{where}: {first['msg']}"[: 2 * LONGEST]
    told = request.headers.get("Content-Type", "")
    if where == "body" and unreadable and "json" not in told.lower():
        text = "body: it is not said to be JSON; add 'Content-Type: application/json'"
    code = MARSHAL_ERROR if unreadable else PARAMETER_INVALID
    return refusal(ServiceError(code, text), 400)


async def _impossible(request: Request, error: Any) -> JSONResponse:
    """Tell of a path or method that there is not, or of a body that is no JSON."""
    code = MARSHAL_ERROR if error.status_code == 400 else PARAMETER_INVALID
    path = request.url.path
    text = f"{request.method} {path}: {error.detail}"[: 2 * LONGEST]
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # FastAPI names the methods of one of the routes of that path only.
        paths = request.app.openapi()["paths"]
        methods = paths.get(path) or paths[f"{BASE}/workflow/{{workFlowId}}"]
        headers["Allow"] = ", ".join(sorted(map(str.upper, methods)))
    return refusal(ServiceError(code, text), error.status_code, headers)
