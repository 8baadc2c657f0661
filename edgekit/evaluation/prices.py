"""The price table: what an hour of an instance and a downloaded gigabyte cost, each with its source and date."""

from __future__ import annotations

import datetime
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from edgekit.errors import InputError, UsageError
from edgekit.support.documents import Part, mistake_in
from edgekit.support.text import reason_of, shown

__all__ = ["SHIPPED", "Instance", "Prices", "Transfer", "read_prices"]

SHIPPED = Path(__file__).parent / "prices.toml"
_MAX_BYTES = 1 << 20

_Entry = TypeVar("_Entry", "Instance", "Transfer")


def _day(value: Any) -> Any:
    """A date of TOML as text; what else a TOML file may hold is left for the check."""
    return value.isoformat() if type(value) is datetime.date else value


_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Day = Annotated[str, BeforeValidator(_day), Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
_Source = Annotated[str, Field(min_length=1, max_length=500)]


class Instance(Part):
    """A machine for rent."""

    name: _Name
    price_per_hour: float = Field(ge=0, le=1e6)
    cores: int = Field(ge=1, le=10_000, description="Cores that the provider bills.")
    source: _Source
    date: _Day
    note: str = Field("", max_length=500)


class Transfer(Part):
    """A way to deliver bytes to phones; a gigabyte has 1e9."""

    name: _Name
    price_per_gb: float = Field(ge=0, le=1e6)
    source: _Source
    date: _Day
    note: str = Field("", max_length=500)


class Prices(Part):
    """A price table."""

    schema_: Literal["edgekit.prices/1"] = Field(alias="schema")
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.")
    instance: tuple[Instance, ...] = Field((), max_length=10_000)
    transfer: tuple[Transfer, ...] = Field((), max_length=10_000)

    @model_validator(mode="after")
    def _names_are_there_once(self) -> Prices:
        for rows in (self.instance, self.transfer):
            names = [row.name for row in rows]
            if len(set(names)) < len(names):
                raise ValueError("a name is there twice")
        return self

    def instance_named(self, name: str | None) -> Instance | None:
        """That instance; without a name the table's first, if it has any. UsageError where it has no such."""
        return _named(self.instance, name, "instance")

    def transfer_named(self, name: str | None) -> Transfer | None:
        """That way of delivery; without a name the table's first, if it has any. UsageError where it has no such."""
        return _named(self.transfer, name, "transfer")


def _named(rows: tuple[_Entry, ...], name: str | None, field: str) -> _Entry | None:
    if name is None:
        return rows[0] if rows else None
    for row in rows:
        if row.name == name:
            return row
    there = ", ".join(row.name for row in rows[:8]) or "none"
    raise UsageError(
        f"the price table has no {field} {shown(name, 60)!r} (it has: {there}); add it there, or choose another "
        f"`{field}`",
        field=field,
    )


def read_prices(path: Path | None = None) -> Prices:
    """Read a price table of at most 1 MiB; None is the one that is shipped.

    Raises:
        InputError: it cannot be read, is not TOML, or has a field that is missing, unknown or wrong.
    """
    path = path or SHIPPED
    name = shown(str(path))
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise InputError(f"{name}: over 1 MB, which no price table has; give another", field="prices")
        content = tomllib.loads(text.decode())
    except OSError as error:
        raise InputError(f"cannot read the price table {name}: {error.strerror or error}", field="prices") from error
    except (ValueError, RecursionError) as error:  # also of a number with too many digits
        raise InputError(f"{name}: not TOML ({reason_of(error, 160)}); mend it there", field="prices") from error
    try:
        return Prices.model_validate(content)
    except ValidationError as error:
        mistake = re.sub(r"^(instance|transfer)\.(\d+)", lambda at: f"{at[1]} {int(at[2]) + 1}", mistake_in(error))
        raise InputError(f"{name}: not a valid price table ({mistake}); mend it there", field="prices") from error
