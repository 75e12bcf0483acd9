"""The child process of ``filters.sequoia``: standard input to standard output, then an exit code.

``python -m portability_pipelines.filters.sequoia_child encrypt|decrypt <descriptor>``; the
descriptor gives a JSON object with what to encrypt to or decrypt with, binary values in base64.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysequoia import PyDecryptor, Tsk

LOCKED_KEY = 3
WRONG_KEY = 4
DAMAGED = 5

_INPUT = "/dev/fd/0"
_OUTPUT = "/dev/fd/1"


def encrypt(order: dict[str, Any]) -> int:
    """Encrypt to the passwords and certificates of ``order``."""
    from pysequoia import Cert, encrypt_file

    recipients = [Cert.from_bytes(base64.b64decode(item)) for item in order["certificates"]]
    encrypt_file(_INPUT, _OUTPUT, recipients, passwords=order["passwords"], armor=False)
    return 0


def decrypt(order: dict[str, Any]) -> int:
    """Decrypt with the passwords or the secret key of ``order``; say what is wrong if it fails."""
    from pysequoia import Tsk, decrypt_file

    decryptor = None
    if "secret_key" in order:
        try:
            key = Tsk.from_bytes(base64.b64decode(order["secret_key"]))
            decryptor = _decryptor(key, order["key_password"])
        except RuntimeError as error:
            return _complain(error, LOCKED_KEY)
    try:
        decrypt_file(_INPUT, _OUTPUT, decryptor, passwords=order["passwords"])
    except RuntimeError as error:
        return _complain(error, WRONG_KEY if "No key to decrypt" in str(error) else DAMAGED)
    return 0


def _decryptor(key: Tsk, password: str) -> PyDecryptor:
    """What decrypts with ``key``; as with GnuPG, a password that it does not need is no error."""
    try:
        return key.decryptor(password or None)
    except RuntimeError as error:
        if "not encrypted" not in str(error):
            raise
        return key.decryptor(None)


def _complain(error: RuntimeError, code: int) -> int:
    # What may follow the first line is a backtrace of the library.
    sys.stderr.write(str(error).splitlines()[0] + "\n")
    return code


def main(verb: str, descriptor: str) -> int:
    """Do one order and return the exit code."""
    with os.fdopen(int(descriptor), "rb") as pipe:
        order = json.load(pipe)
    return {"encrypt": encrypt, "decrypt": decrypt}[verb](order)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
