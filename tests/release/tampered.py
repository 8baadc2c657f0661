"""Good and tampered bundles that the verifiers in Python, Kotlin and Swift are tested with, and what each must say.

`materialize(folder)` writes them as plain files, and `index.json`: {"cases": [{"case", "what", "kind": "folder", "zip",
"tgz" or "tar.zst", "path", "signature" (null: none is there), "public_key" (PEM), "expectations": {"name",
"minimum_version", "space"}, "phones" (false: only Python reads it), "expected": null where it is accepted, or the code
of a reason}]}; paths are relative to the folder.

A verifier looks in this order, and the first thing that is wrong is its answer:
1. the signature file: there (unsigned), a regular file (not-a-plain-file), bounded strict JSON of the expected form
   with exactly one signature, mediaType and payloadType among it (signature-damaged);
2. ECDSA P-256 with SHA-256 over the DSSE PAE (wrong-key: also DER that cannot be read);
3. the statement: `_type`, `predicateType`, method "files", `hash_type` and each `algorithm` "sha256", digests of 64
   lower-case hex digits, one subject whose sha256 is that of all digests (as bytes) in order (statement-unknown);
   `ignore_paths` and `allow_symlinks` are not followed. For an archive exactly one resource, "." (statement-unknown);
   for a folder the number of resources (too-many-files) and their names (bad-name, duplicate-name, name-collision);
4. a folder: all of its listing before any hash: links and special files (not-a-plain-file), names, number, bytes; then
   file-missing, file-extra, file-changed. `model.sig` at its root is not listed; empty folders do not count.
   An archive: the hash of the whole file (file-changed), then its one form (see the rows), with one folder at the top;
5. bundle.json: bounded strict JSON, schema "edgekit.bundle/1", and its list of files is exactly the files (schema);
6. the expectations: wrong-name, downgraded, wrong-space.
A name is printable ASCII without \\ : * ? " < > |, at most 240 characters and 100 in a part; no part is empty, "." or
"..", or a device of Windows, begins with a space, or ends with a space or a dot (release/names.py). An archive's names
keep this with their top folder, too. Bounds and constants: edgekit/release/limits.json; reasons: reasons.json.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from tests.release import craft
from tests.release.cases import PHONES, Row, put
from tests.release.tampered_archives import ARCHIVES
from tests.release.tampered_folders import FOLDERS
from tests.release.tampered_signatures import SIGNATURES

__all__ = ["ROWS", "materialize"]

ROWS: Final[list[Row]] = [*FOLDERS, *SIGNATURES, *ARCHIVES]


def materialize(folder: Path, *, phones: bool = False) -> Path:
    """Write every case below `folder`, or those that phones must know; returns index.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key.pem").write_bytes(craft.pem())
    cases = []
    for number, row in enumerate(ROWS):
        made = row.make()
        on_phones = row.phones and made.kind in PHONES
        if phones and not on_phones:
            continue
        path, signature = put(made, folder / f"{number:03d}")
        cases.append(
            {
                "case": row.name,
                "what": row.what,
                "kind": made.kind,
                "path": path.relative_to(folder).as_posix(),
                "signature": signature.relative_to(folder).as_posix() if os.path.lexists(signature) else None,
                "public_key": "key.pem",
                "expectations": dict(made.expectations),
                "phones": on_phones,
                "expected": row.expected,
            }
        )
    index = folder / "index.json"
    index.write_text(json.dumps({"cases": cases}, indent=1) + "\n")
    return index
