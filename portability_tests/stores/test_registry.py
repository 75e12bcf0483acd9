"""Which settings name a store."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from portability_pipelines.domain.errors import RefusedError
from portability_pipelines.stores.registry import open_store


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("file:///srv/archives", "file:///srv/archives"),
        ("file:///srv/archives/", "file:///srv/archives"),
        ("file:///srv/my%20archives", "file:///srv/my%20archives"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
    ],
)
def test_a_store_answers_to_its_setting(tmp_path: Path, written: str, url: str) -> None:
    assert open_store(written, staging_root=tmp_path).url == url


@pytest.mark.parametrize(
    "written",
    [
        "",
        "/srv/archives",
        "archives",
        "file://",
        "file:///",
        "file:archives",
        "file://archives",
        "file://host/srv",
        "file:///srv/../etc",
        "file:///srv?x=1",
        "file:///srv#x",
        "s3://",
        "s3:///prefix",
        "s3://bucket:9000/prefix",
        "s3://bucket/a//b",
        "s3://bucket/../b",
        "s3://[bucket",
        "file:///srv/%00x",
        "file:///srv/%FFx",
        "file:///srv/\udcffx",
        "s3://bucket/\udcff",
        "gs://bucket/prefix",
        "https://bucket.s3.amazonaws.com/prefix",
    ],
)
def test_other_settings_are_refused_with_the_right_form(tmp_path: Path, written: str) -> None:
    with pytest.raises(RefusedError) as caught:
        open_store(written, staging_root=tmp_path)

    assert caught.value.advice


def test_credentials_in_a_setting_are_refused_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="AWS_SECRET_ACCESS_KEY"):
        open_store("s3://key:secret-word@bucket/prefix", staging_root=tmp_path)


@pytest.mark.parametrize(
    "written",
    [
        "s3://key:secret-word@bucket/prefix",
        "s3://key:start/secret-word@bucket/prefix",
        "s3://key:se#secret-word@bucket/prefix",
        "s3:key:secret-word@bucket",
        "s3//key:secret-word@bucket",
        "secret-word:key@bucket",
        "secret-word",
        "s3://bucket/prefix?X-Amz-Signature=secret-word",
        "s3://bucket/a//secret-word",
        "s3://[secret-word",
        "https://account.blob.core.windows.net/c?sig=secret-word",
        "file://secret-word/srv",
        "file:///srv/../secret-word",
    ],
)
def test_a_refused_setting_is_not_repeated(tmp_path: Path, written: str) -> None:
    with pytest.raises(RefusedError) as caught:
        open_store(written, staging_root=tmp_path)

    assert "secret-word" not in "".join(traceback.format_exception(caught.value))


def test_opening_touches_nothing_and_loads_no_boto3(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from portability_pipelines.stores.registry import open_store\n"
        "for url in sys.argv[2:]: open_store(url, staging_root=Path(sys.argv[1]))\n"
        "print({'boto3', 'botocore', 'dagster'} & set(sys.modules))\n"
    )
    urls = [(tmp_path / "store").as_uri(), "s3://bucket/prefix"]

    argv = [sys.executable, "-c", program, str(tmp_path / "staging"), *urls]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
    assert list(tmp_path.iterdir()) == []
