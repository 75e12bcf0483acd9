"""A writer process for tests to kill: python writer.py <store url> <staging root> <moment>.

Prints the moment once it is reached, then waits to be killed. The moments: ``staged`` (nothing
put), ``uploading`` (S3 only: inside the second part), ``put`` (not published), ``published``.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portability_pipelines.stores.registry import open_store
from portability_pipelines.stores.s3_client import default_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PREFIX = "sample/backup/all/2026-10/dead"
BIG_BYTES = 40 * 1024**2


def _reach(moment: str) -> None:
    print(moment, flush=True)  # noqa: T201
    time.sleep(600)


def _client_stuck_in_second_part() -> S3Client:
    client = default_client()

    def stop(params: dict[str, Any], **_: object) -> None:
        if params["query_string"]["partNumber"] == 2:
            _reach("uploading")

    client.meta.events.register("before-call.s3.UploadPart", stop)
    return client


def main(url: str, staging_root: str, moment: str) -> None:
    """Write one archive and stop at ``moment``."""
    client = _client_stuck_in_second_part if moment == "uploading" else None
    store = open_store(url, staging_root=Path(staging_root), s3_client=client)
    with store.stage(PREFIX) as folder:
        (folder / "data").touch()
        if moment == "staged":
            _reach(moment)
        store.put(folder / "data", f"{PREFIX}/data")
        (folder / "big").touch()
        with (folder / "big").open("wb") as file:
            file.truncate(BIG_BYTES)
        store.put(folder / "big", f"{PREFIX}/tables/big")
        if moment == "put":
            _reach(moment)
        store.publish(f"{PREFIX}/manifest.json", b"{}")
        _reach(moment)


if __name__ == "__main__":
    main(*sys.argv[1:])
