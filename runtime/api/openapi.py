"""The OpenAPI 3.1 document, generated from the endpoints."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from runtime.api.endpoint import IDEMPOTENCY_KEY, Endpoint
from runtime.api.problem import Problem

_PARAMETER = re.compile(r"\{(\w+)\}")
_REF = "#/components/schemas/{model}"

_IDEMPOTENCY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Made by the client, the same for every retry of one intent; kept for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": IDEMPOTENCY_KEY},
}
_IF_MATCH_HEADER = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that the change is meant for; 412 when the resource has changed since.",
    "schema": {"type": "string", "pattern": r'^"[0-9]{1,18}"$'},
}


def document(
    title: str,
    version: str,
    description: str,
    endpoints: Sequence[Endpoint[Any]],
    parameters: Mapping[str, Mapping[str, Any]],
    credential: str,
) -> bytes:
    """The document as JSON. `parameters`: schemas of path parameters; `credential`: what the token is."""
    models = _models(endpoints)
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, parameters)
    return json.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": title, "version": version, "description": description},
            "paths": paths,
            "components": {
                "schemas": definitions.get("$defs", {}),
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": credential}},
            },
            "security": [{"token": []}],
        }
    ).encode()


def _models(endpoints: Sequence[Endpoint[Any]]) -> list[type[BaseModel]]:
    seen: dict[type[BaseModel], None] = {Problem: None}
    for endpoint in endpoints:
        for model in (endpoint.body, *endpoint.answers.values()):
            if model is not None:
                seen[model] = None
    return list(seen)


def _operation(endpoint: Endpoint[Any], parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.operation,
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint, parameters),
        "responses": _responses(endpoint),
    }
    if endpoint.tag:
        operation["tags"] = [endpoint.tag]
    if endpoint.public:
        operation["security"] = []
    if endpoint.role:
        operation["x-role"] = endpoint.role
        operation["description"] = f"Needs the role `{endpoint.role}`."
    if endpoint.body is not None:
        content_type = "application/merge-patch+json" if endpoint.method == "PATCH" else "application/json"
        schema = {"$ref": _REF.format(model=endpoint.body.__name__)}
        operation["requestBody"] = {"required": True, "content": {content_type: {"schema": schema}}}
    return operation


def _parameters(endpoint: Endpoint[Any], known: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": dict(known[name])}
        for name in _PARAMETER.findall(endpoint.path)
    ]
    if endpoint.query is not None:
        found.extend(_query_parameters(endpoint.query))
    if endpoint.idempotency != "none":
        found.append({**_IDEMPOTENCY_HEADER, "required": endpoint.idempotency == "required"})
    if endpoint.if_match:
        found.append(_IF_MATCH_HEADER)
    return found


def _query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema()
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": part.get("description", ""),
            "schema": {key: value for key, value in part.items() if key not in ("description", "title")},
        }
        for name, part in schema.get("properties", {}).items()
    ]


def _responses(endpoint: Endpoint[Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, model in endpoint.answers.items():
        content = {} if model is None else _content("application/json", model.__name__)
        responses[str(status)] = {"description": endpoint.summary, **content}
    usual = (400, 500, 503) if endpoint.public else (400, 401, 403, 500, 503)
    body = (408, 413, 415) if endpoint.body else ()
    idempotent = (409, 422) if endpoint.idempotency != "none" else ()
    named = (404,) if "{" in endpoint.path else ()
    precondition = (412,) if endpoint.if_match else ()
    for status in sorted({*usual, *body, *idempotent, *named, *precondition, *endpoint.errors}):
        responses[str(status)] = {
            "description": "a problem",
            **_content("application/problem+json", "Problem"),
        }
    return responses


def _content(content_type: str, model: str) -> dict[str, Any]:
    return {"content": {content_type: {"schema": {"$ref": _REF.format(model=model)}}}}
