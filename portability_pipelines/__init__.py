"""Exports, migrations and backups of application databases, as Dagster assets that prove them."""

import os

# Arrow's allocator keeps freed memory for a second before it gives it back. With ten milliseconds
# an export of many months in all formats takes 60 MB less and no longer; with fewer, it asks for
# the same memory again and again. Read when Arrow loads.
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "10")
