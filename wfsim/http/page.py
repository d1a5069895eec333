"""The page that shows what may be asked: it needs this server and nothing else.

FastAPI's own page takes Swagger UI from a server far away, which a control plane cannot
reach; `fastapi_offline` brings the files along.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import fastapi_offline
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.responses import HTMLResponse

FILES = Path(fastapi_offline.__file__).parent / "static"
_AT = "/docs-files"


def add_page(app: FastAPI) -> None:
    """Let *app* show its OpenAPI description at ``/docs``."""
    app.mount(_AT, StaticFiles(directory=FILES))

    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=str(app.openapi_url),
            title=app.title,
            swagger_js_url=f"{_AT}/swagger-ui-bundle.js",
            swagger_css_url=f"{_AT}/swagger-ui.css",
            swagger_favicon_url=f"{_AT}/favicon.png",
        )

    app.add_api_route("/docs", docs, include_in_schema=False, response_model=None)
