"""JSON documents with a schema of their own: equal content gives equal bytes, and what anyone may have written is read
as hostile and refused in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from edgekit.errors import InputError
from edgekit.support.files import read_json, write_atomically
from edgekit.support.text import reason_of, shown

__all__ = ["Document", "Part", "mistake_in"]


class Part(BaseModel):
    """A table of a document: it does not change, and has no unknown field and no number that JSON lacks."""

    # Fields keep their names in JSON except `schema_`, which would hide a method of pydantic's.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
        validate_by_name=True,
        defer_build=True,
    )


class Document(Part):
    """A whole document; a subclass says in the default of its `schema_` which, and in `ADVICE` what mends a bad one."""

    ADVICE: ClassVar[str] = "get an unchanged copy"
    STYLE: ClassVar[dict[str, Any]] = {"indent": 2, "ensure_ascii": False}

    def to_json(self) -> str:
        """The document's text: fields in the schema's order, one newline at the end."""
        return json.dumps(self.model_dump(mode="json"), allow_nan=False, **self.STYLE) + "\n"

    def write(self, path: Path) -> Path:
        """Write the document to `path`, all or nothing; OutputError where that fails."""
        write_atomically(path, self.to_json())
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a document of at most 4 MiB; InputError says what is wrong with it."""
        return cls.of(cls.content(path), path)

    @classmethod
    def content(cls, path: Path, *, max_bytes: int = 4 << 20) -> dict[str, Any]:
        """The JSON object at `path`, which says that it is of this schema; InputError where there is none."""
        content = read_json(path, max_bytes=max_bytes)
        due = cls.model_fields["schema_"].default
        schema = content.get("schema") if isinstance(content, dict) else None
        if schema == due:
            return content
        raise InputError(f"{path}: schema is {str(schema)[:60]!r}, only {due!r} can be read; use a matching version")

    @classmethod
    def of(cls, content: dict[str, Any], path: Path) -> Self:
        """The document with that content, which is from `path`; InputError names the first field that is wrong."""
        try:
            # Through JSON once more: strict mode takes a JSON number as a float, a Python int not.
            return cls.model_validate_json(json.dumps(content), strict=True)
        except ValidationError as error:
            reason = mistake_in(error)
        except UnicodeEncodeError as error:
            reason = reason_of(error)
        name = re.sub(r"\B(?=[A-Z])", " ", cls.__name__).lower()
        raise InputError(f"{path}: not a valid {name} ({reason}); {cls.ADVICE}")


def mistake_in(error: ValidationError, whole: str = "") -> str:
    """The first mistake as "field: what is wrong"; `whole` is what to call the document where it is of no one field."""
    first = error.errors(include_url=False)[0]
    where = shown(".".join(str(part) for part in first["loc"]), 200) or whole  # names that the document chose
    message = shown(first["msg"][0].lower() + first["msg"][1:], 600)
    return f"{where}: {message}" if where else message
