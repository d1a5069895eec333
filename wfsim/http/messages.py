"""The messages on the wire: requests and answers of TiUniManager's workflow API.

Sources: ``micro-api/route/router.go:223-232``, ``flowtask_api.go``; fields, envelope and
times are the reference's.  Creating and cancelling are reached there through business
endpoints alone; here they are requests like the others.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Generic, TypeVar

from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wfsim.engine.service import FlowDetail, FlowInfo, NodeInfo, Page
from wfsim.errors import ANSWERS, ServiceError
from wfsim.model.frozen import is_json
from wfsim.model.memento_json import EPOCH

NULL_TIME = "0001-01-01T00:00:00Z"
LONGEST = 256
"""How many characters a name or an id may have."""
NANO = 10**9

T = TypeVar("T")


def moment(seconds: float | None) -> str:
    """Return *seconds* of virtual time as RFC 3339 with nanoseconds, as Go writes it.

    >>> moment(5.25), moment(86400.0), moment(None)
    ('2026-01-01T00:00:05.25Z', '2026-01-02T00:00:00Z', '0001-01-01T00:00:00Z')
    """
    if seconds is None:
        return NULL_TIME
    whole, nanos = divmod(round(seconds * NANO), NANO)
    second = (EPOCH + timedelta(seconds=whole)).isoformat()
    return f"{second}.{nanos:09}".rstrip("0").rstrip(".") + "Z"


def _checked(context: dict[str, Any]) -> dict[str, Any]:
    if not is_json(context):
        raise ValueError("it holds what JSON cannot, or is nested more than 40 deep")
    return context


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class FlowReference(_Body):
    """The flow that is meant."""

    workFlowId: str = Field(max_length=LONGEST, examples=["1-RestartCluster"])  # noqa: N815


class CancelRequest(FlowReference):
    """The flow that is meant, and why it is to end."""

    reason: str = Field("", max_length=4 * LONGEST)


class CreateRequest(_Body):
    """A flow about a business object; *context* is what its nodes are given."""

    bizId: str = Field(max_length=LONGEST, examples=["cluster-1"])  # noqa: N815
    bizType: str = Field(max_length=LONGEST, examples=["cluster"])  # noqa: N815
    flowName: str = Field(max_length=LONGEST, examples=["RestartCluster"])  # noqa: N815
    context: Annotated[dict[str, Any], AfterValidator(_checked)] = Field(
        default={}, examples=[{"ClusterMeta": {"id": "cluster-1"}}]
    )


class BeginRequest(_Body):
    """A flow, and what it is about: None is something that the scenario has."""

    flowName: str = Field(max_length=LONGEST, examples=["RestartCluster"])  # noqa: N815
    bizId: str | None = Field(None, max_length=LONGEST, examples=["cluster-1"])  # noqa: N815


class NoContent(BaseModel):
    """No data."""

    model_config = ConfigDict(extra="forbid")


class Created(BaseModel):
    """The flow that was created."""

    workFlowId: str  # noqa: N815


class Paging(BaseModel):
    """Which page it is, and how many flows there are on all."""

    page: int
    pageSize: int  # noqa: N815
    total: int


class FlowMessage(BaseModel):
    """One flow."""

    id: str
    name: str
    bizId: str  # noqa: N815
    bizType: str  # noqa: N815
    status: str
    createTime: str  # noqa: N815
    updateTime: str  # noqa: N815
    deleteTime: str  # noqa: N815

    @classmethod
    def of(cls, info: FlowInfo) -> FlowMessage:
        """Return the message about a flow; none is ever deleted."""
        return cls(
            id=info.id,
            name=info.name,
            bizId=info.biz_id,
            bizType=info.biz_type,
            status=info.status.value,
            createTime=moment(info.created),
            updateTime=moment(info.updated),
            deleteTime=NULL_TIME,
        )


class NodeMessage(BaseModel):
    """One node that was begun."""

    id: str
    name: str
    parameters: str
    result: str
    status: str
    startTime: str  # noqa: N815
    endTime: str  # noqa: N815

    @classmethod
    def of(cls, node: NodeInfo) -> NodeMessage:
        """Return the message about a node."""
        return cls(
            id=node.id,
            name=node.name,
            parameters=node.parameters,
            result=node.result,
            status=node.status.value,
            startTime=moment(node.started),
            endTime=moment(node.finished),
        )


class Flows(BaseModel):
    """The flows of one page."""

    workFlows: list[FlowMessage]  # noqa: N815

    @classmethod
    def of(cls, page: Page) -> Flows:
        """Return the message about a page."""
        return cls(workFlows=[FlowMessage.of(info) for info in page.flows])


class Detail(BaseModel):
    """One flow, its nodes, the names on its main path, and why it was cancelled."""

    info: FlowMessage
    nodes: list[NodeMessage]
    nodeNames: list[str]  # noqa: N815
    reason: str

    @classmethod
    def of(cls, detail: FlowDetail) -> Detail:
        """Return the message about a flow and its nodes."""
        return cls(
            info=FlowMessage.of(detail.info),
            nodes=[NodeMessage.of(node) for node in detail.nodes],
            nodeNames=list(detail.node_names),
            reason=detail.info.reason,
        )


class Envelope(BaseModel, Generic[T]):
    """The envelope of every answer: code 0 if all went well."""

    code: int = 0
    message: str = "OK"
    data: T


class Paged(Envelope[Flows]):
    """The envelope of a list."""

    page: Paging


class Refusal(Envelope[NoContent]):
    """The envelope of everything that went wrong; *code* says what."""

    code: int = Field(json_schema_extra={"enum": [*sorted(ANSWERS)]})
    message: str


def refusal(
    error: ServiceError,
    status: int | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return *error* in its envelope, with its own HTTP status unless one is given."""
    content = {"code": error.code, "message": str(error), "data": {}}
    return JSONResponse(content, status or error.http, headers)
