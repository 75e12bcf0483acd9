"""A network that breaks: forwards to a server and cuts each connection after some bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


@contextmanager
def cutting_proxy(endpoint: str, answer_bytes: int) -> Iterator[str]:
    """Give an endpoint that passes ``answer_bytes`` of each answer and then hangs up."""
    address = urlsplit(endpoint)
    target = (str(address.hostname), int(address.port or 80))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, target, answer_bytes))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listener: socket.socket, target: tuple[str, int], answer_bytes: int) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, socket.create_connection(target) as server:
            threading.Thread(target=_pass_on, args=(client, server), daemon=True).start()
            _pass_back(server, client, answer_bytes)


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    try:
        while sent := client.recv(65536):
            server.sendall(sent)
    except OSError:
        return


def _pass_back(server: socket.socket, client: socket.socket, left: int) -> None:
    while left > 0 and (answer := server.recv(min(left, 65536))):
        client.sendall(answer)
        left -= len(answer)
    client.shutdown(socket.SHUT_RDWR)
