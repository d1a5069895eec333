"""The JSON Schema of flow and group files, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

from wfsim.model.duration_schema import with_durations
from wfsim.model.flow_file import FlowFile, GroupFile

if TYPE_CHECKING:
    from pydantic_core import core_schema


class EditorSchema(GenerateJsonSchema):
    """Keys are their own titles; those that are `Omissible` may be left out, not null."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        inner = schema["schema"]
        if inner["type"] == "nullable":
            inner = inner["schema"]
        return self.generate_inner(inner)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def flow_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of flow and group files, for editors."""
    _, schema = models_json_schema(
        [(FlowFile, "validation"), (GroupFile, "validation")],
        title="wfsim flow or step group",
        description="One YAML file of a folder of flows.",
        ref_template="#/$defs/{model}",
        schema_generator=EditorSchema,
    )
    # With if/else, an editor complains of one kind of file, not of both.
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **with_durations(schema),
        "if": {"required": ["groupName"]},
        "then": {"$ref": "#/$defs/GroupFile"},
        "else": {"$ref": "#/$defs/FlowFile"},
    }
