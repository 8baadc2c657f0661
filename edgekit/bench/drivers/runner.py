"""Measure on many devices at once, and leave each as it was, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from edgekit.bench.drivers.base import OnEach, Outcome, Say, plain, to_its_end
from edgekit.errors import DeviceError, EdgeKitError
from edgekit.support.progress import DONE
from edgekit.support.text import reason_of

__all__ = ["on_devices"]

_Job = TypeVar("_Job")
_MOST_ERRORS = 64  # that a result holds


async def on_devices(
    driver: OnEach[_Job], job: _Job, serials: Sequence[str], say: Callable[[str, str], None]
) -> list[Outcome]:
    """Measure on all of them at once, each by itself: what goes wrong on one is its outcome, and costs no other its.

    Args:
        driver: of these devices.
        job: what its `prepare` gave.
        serials: the devices.
        say: is told a device and what happens on it now.

    Returns:
        The outcomes of the first device, then those of the second, and so on; at least one each.
    """

    def start(serial: str) -> asyncio.Task[list[Outcome]]:
        return asyncio.ensure_future(_on_one(driver, job, serial, lambda step: say(serial, step)))

    tasks = list(map(start, serials))
    # With exceptions as results, which waits for all: without, the first that is cancelled would end the restoring of
    # the others.
    await asyncio.gather(*tasks, return_exceptions=True)
    return [outcome for task in tasks for outcome in task.result()]


async def _on_one(driver: OnEach[_Job], job: _Job, serial: str, say: Say) -> list[Outcome]:
    outcomes: list[Outcome] = []
    measuring = aiter(driver.measure(job, serial, say))
    going_on = True
    while going_on:
        outcome: Outcome | None = None
        try:
            outcome = await anext(measuring)
        except StopAsyncIteration:
            going_on = False
        except EdgeKitError as error:
            outcome, going_on = Outcome(serial, error=error), False
        except Exception as error:  # a fault of ours must not spoil the other devices either
            reason = f"{type(error).__name__}: {plain(reason_of(error))}"
            outcome = Outcome(serial, error=DeviceError(f"{plain(serial)}: measuring failed ({reason})"))
            going_on = False
        finally:  # by cancellation, too
            left, cancelled = await to_its_end(_restored(driver, serial))
            note = f"not restored on the device: {', '.join(left)}"
            if left:
                say(note)
            if cancelled:
                raise asyncio.CancelledError
        if outcome is not None:
            outcomes.append(_noted(outcome, note) if left else outcome)
    failed = next((outcome.error for outcome in outcomes if outcome.error is not None), None)
    say(DONE if failed is None else f"failed: {failed}")
    return outcomes


async def _restored(driver: OnEach[_Job], serial: str) -> Sequence[str]:
    try:
        return await driver.restore(serial)
    except Exception as error:
        return [f"all that was changed ({plain(reason_of(error))})"]


def _noted(outcome: Outcome, note: str) -> Outcome:
    """The outcome of a device that is not as it was before."""
    error, result = outcome.error, outcome.result
    if error is not None:
        return replace(outcome, error=type(error)(f"{error}; {note}", field=error.field))
    if result is None:
        return outcome
    return replace(outcome, result=result.model_copy(update={"errors": (*result.errors, note)[-_MOST_ERRORS:]}))
