"""The host's side of usbmuxd, for the real `ios` of go-ios: it lists devices, none of which was ever paired."""

from __future__ import annotations

import plistlib
import socketserver
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["usbmuxd"]

_NOT_PAIRED = 2


def _answer(asked: str, udids: Sequence[str]) -> dict[str, Any]:
    if asked != "ListDevices":
        return {"MessageType": "Result", "Number": _NOT_PAIRED}
    rows = [{"DeviceID": row, "SerialNumber": udid, "ConnectionType": "USB"} for row, udid in enumerate(udids)]
    attached = [{"MessageType": "Attached", "DeviceID": row["DeviceID"], "Properties": row} for row in rows]
    return {"DeviceList": attached}


@contextmanager
def usbmuxd(path: Path, udids: Sequence[str]) -> Iterator[list[str]]:
    """Listen at `path` meanwhile; what is asked."""
    every: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while head := self.rfile.read(16):
                size, _, _, tag = struct.unpack("<4I", head)
                asked = plistlib.loads(self.rfile.read(size - 16))["MessageType"]
                every.append(asked)
                body = plistlib.dumps(_answer(asked, udids))
                self.wfile.write(struct.pack("<4I", 16 + len(body), 1, 8, tag) + body)

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield every
        finally:
            server.shutdown()
            thread.join()
