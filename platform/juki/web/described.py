"""The description of the API tells the truth about failures: RFC 9457 everywhere, OAuth errors at the OAuth endpoints."""

from __future__ import annotations

from typing import Final

from litestar import Litestar
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Reference,
    Schema,
)

_PROBLEM: Final = "#/components/schemas/Problem"
_OAUTH_ERROR: Final = "#/components/schemas/OAuthError"
_ALWAYS: Final = {
    "400": "The request cannot be read",
    "401": "No session or token, or one that has ended",
    "403": "The duty or the terminal does not allow it",
    "404": "Nothing here, or nothing this caller may know of",
    "409": "Somebody else changed it first",
    "413": "The body is too large",
    "415": "The body is of another kind",
    "422": "The input breaks a rule; `fields` names each field",
    "429": "Too often",
    "500": "A defect; nothing was changed",
    "503": "A thing we depend on does not answer; a retry is safe",
}


def describe_problems(app: Litestar) -> None:
    """Replace the framework's own error schema, with its examples, by ours in every operation."""
    document = app.openapi_schema
    document.components.schemas["Problem"] = Schema(
        type=OpenAPIType.OBJECT,
        title="Problem",
        description="RFC 9457 problem details; `detail` is Japanese, `code` is stable",
        required=["type", "title", "status", "code", "detail"],
        properties={
            "type": Schema(type=OpenAPIType.STRING),
            "title": Schema(type=OpenAPIType.STRING),
            "status": Schema(type=OpenAPIType.INTEGER),
            "code": Schema(type=OpenAPIType.STRING),
            "detail": Schema(type=OpenAPIType.STRING),
            "fields": Schema(type=OpenAPIType.OBJECT, additional_properties=Schema(type=OpenAPIType.STRING)),
        },
    )
    document.components.schemas["OAuthError"] = Schema(
        type=OpenAPIType.OBJECT,
        title="OAuthError",
        description="RFC 6749 5.2",
        required=["error"],
        properties={"error": Schema(type=OpenAPIType.STRING)},
    )
    for path, item in (document.paths or {}).items():
        for operation in (item.get, item.post, item.put, item.patch, item.delete):
            if operation is not None:
                _describe(path, operation)


def _describe(path: str, operation: Operation) -> None:
    responses = operation.responses or {}
    responses.pop("400", None)
    for status, text in _ALWAYS.items():
        content = {"application/problem+json": OpenAPIMediaType(schema=Reference(_PROBLEM))}
        if path.endswith("/oauth/token") and status in {"400", "401", "503"}:
            content["application/json"] = OpenAPIMediaType(schema=Reference(_OAUTH_ERROR))
        if path == "/readyz" and status == "503":
            states = Schema(type=OpenAPIType.OBJECT, additional_properties=Schema(type=OpenAPIType.STRING))
            content["application/json"] = OpenAPIMediaType(schema=states)
        responses[status] = OpenAPIResponse(description=text, content=content)
    operation.responses = responses
