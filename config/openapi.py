"""The OpenAPI 3.1 document of the whole HTTP API, made of what each app's `openapi.py` says and what its forms accept.

It is committed, and the committed file is what is served; COMMAND makes it anew.
"""

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension, OpenApiSerializerFieldExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry
from rest_framework.permissions import SAFE_METHODS
from rest_framework.serializers import Serializer

import observability.openapi
import registry.openapi
import rollout.openapi
from common.openapi import INTEGER, OBJECT, TEXT, Operation, Schema, members, one_of
from config.operations import PROBLEM, Direction, operation_json, refusals_referred_to, repeatable
from registry.models import Scope

COMMAND = "python manage.py spectacular --validate --fail-on-warn --file docs/reference/openapi.yaml"
APPS = (registry.openapi, observability.openapi, rollout.openapi)
KEY = "An API key. Its scopes are read, ingest, write, which includes read, and admin, which includes all."
OWN = {
    "GET /livez": Operation("Whether the process answers", members(status=TEXT), scope=""),
    "GET /readyz": Operation(
        "Whether it can serve",
        members({"reason": TEXT, "state_age_s": INTEGER}, status=one_of("ready", "degraded")),
        refusals={503: ("database_unavailable", "not_migrated", "no_state_yet")},
        scope="",
    ),
    "GET /metrics": Operation("Counters for Prometheus", TEXT, media=("text/plain",), scope=""),
    "GET /api/schema": Operation("This document", OBJECT, media=("application/yaml",), scope=""),
    "GET /api/docs": Operation("This document, to browse", TEXT, media=("text/html",), scope=""),
}
OPERATIONS: Mapping[str, Operation] = {
    **OWN,
    **{address: told for app in APPS for address, told in app.OPERATIONS.items()},
}
PARAMETERS: Mapping[str, Schema] = {name: schema for app in APPS for name, schema in app.PARAMETERS.items()}
SCHEMAS: Mapping[str, Schema] = {
    "Problem": PROBLEM,
    **{name: schema for app in APPS for name, schema in app.SCHEMAS.items()},
}
FIELDS = {**observability.openapi.FIELDS, **rollout.openapi.FIELDS}


class Generator(SchemaGenerator):
    """Finds the views of Django REST framework by their addresses; plain ones are those with a scope of their own."""

    def create_view(self, callback: Any, method: str, request: Any = None) -> Any:
        view = super().create_view(callback, method, request)
        self._set_schema_to_view(view, DescribedSchema())
        return view

    def parse(self, input_request: Any, public: bool) -> dict[str, Any]:
        paths: dict[str, Any] = super().parse(input_request, public)
        for address, told in OPERATIONS.items():
            method, path = address.split()
            if told.scope is not None:
                paths.setdefault(path, {})[method.lower()] = _plain(address, told, told.scope)
        return dict(sorted(paths.items()))

    def get_schema(self, request: Any = None, public: bool = False) -> dict[str, Any]:
        document: dict[str, Any] = super().get_schema(request, public)
        components = document["components"]
        components["schemas"] = dict(sorted({**components["schemas"], **SCHEMAS}.items()))
        components["responses"] = refusals_referred_to(document["paths"])
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": KEY}}
        return document


def _plain(address: str, told: Operation, scope: str) -> dict[str, Any]:
    query = told.query if isinstance(told.query, Mapping) else {}
    return operation_json(
        address, told, scope=scope, read_off=_nothing_to_read_off, query=query, path_parameters=PARAMETERS
    )


def _nothing_to_read_off(form: type[Serializer[Any]], direction: Direction) -> Schema:
    raise TypeError(f"{form.__name__}: a plain view has no form")


class DescribedSchema(AutoSchema):
    """An operation as its app's `openapi.py` describes it, with what drf-spectacular reads off its forms."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: ComponentRegistry
    ) -> dict[str, Any]:
        self.registry, self.path, self.path_regex, self.path_prefix = registry, path, path_regex, path_prefix
        self.method = method.upper()
        address = f"{self.method} {path}"
        if address not in OPERATIONS:
            raise LookupError(f"{address}: describe it in the openapi.py of its app")
        told = self._with_repeats(OPERATIONS[address])
        return operation_json(
            address,
            told,
            scope=self._scope(),
            read_off=self._read_off,
            may_be_empty=self._may_be_empty(told),
            query=told.query if isinstance(told.query, Mapping) else self._parameters_of(told.query),
            path_parameters=PARAMETERS,
        )

    def _scope(self) -> str:
        default = Scope.READ if self.method in SAFE_METHODS else Scope.WRITE
        return str(getattr(self.view, "scopes", {}).get(self.method, default))

    def _with_repeats(self, told: Operation) -> Operation:
        shows_again: bool | None = getattr(getattr(self.view, self.method.lower()), "shows_again", None)
        return told if shows_again is None else repeatable(told, shows_again=shows_again)

    def _read_off(self, form: type[Serializer[Any]], direction: Direction) -> Schema:
        partial = self.method == "PATCH" and direction == "request"
        return dict(self.resolve_serializer(form(partial=partial), direction).ref)

    def _may_be_empty(self, told: Operation) -> bool:
        """Whether no body does for the form, none of its fields being required."""
        if not isinstance(told.body, type) or told.many > 1:
            return False
        return self.method == "PATCH" or not any(field.required for field in told.body().fields.values())

    def _parameters_of(self, form: type[Serializer[Any]]) -> dict[str, Schema]:
        schema = self._map_serializer(form(), "request")
        required = schema.get("required", [])
        return {name: {**field, "required": name in required} for name, field in schema.get("properties", {}).items()}


class StrictForms(OpenApiSerializerExtension):
    """A form of ours accepts no other field than its own."""

    target_class = "common.rest.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        schema.pop("description", None)
        if own := vars(type(self.target)).get("__doc__"):
            schema["description"] = cleandoc(own)
        properties = {name: _without_doubt(field) for name, field in schema["properties"].items()}
        return {**schema, "properties": properties, "additionalProperties": False}


def _without_doubt(field: dict[str, Any]) -> dict[str, Any]:
    """Anything or null, of which null would be both and so refused by oneOf, is anything."""
    return {} if {} in field.get("oneOf", []) else field


class OwnFields(OpenApiSerializerFieldExtension):
    """What the apps' FIELDS tell of fields that drf-spectacular cannot know."""

    target_class = "rest_framework.serializers.Field"
    match_subclasses = True

    @classmethod
    def _matches(cls, target: Any) -> bool:
        return type(target) in FIELDS

    def map_serializer_field(self, auto_schema: AutoSchema, direction: str) -> Any:
        return FIELDS[type(self.target)](self.target)
