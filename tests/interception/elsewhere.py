"""A host of somebody else's and the proxy before it, as the outside of a cloud under test: both on this machine."""

from __future__ import annotations

import datetime
import socketserver
import ssl
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Elsewhere:
    """Answers CONNECT and then, as `host` itself, GET and HEAD; remembers what it was asked."""

    def __init__(self, host: str, folder: Path, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[tuple[str, str]] = []
        self.certificate = folder / "elsewhere.pem"
        self._context = self._certified(host)
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Nobody is there any more."""
        self._server.shutdown()
        self._server.server_close()

    def _certified(self, host: str) -> ssl.SSLContext:
        key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        self.certificate.write_bytes(certificate.public_bytes(encoding))
        both = self.certificate.with_suffix(".both")
        both.write_bytes(
            certificate.public_bytes(encoding)
            + key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, plain)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        return context

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        world = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                method, target = _head(self.request)
                world.asked.append((method, target))
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                with world._context.wrap_socket(self.request, server_side=True) as connection:
                    method, path = _head(connection)
                    world.asked.append((method, path))
                    content = world.files.get(path)
                    status = b"404 Not Found" if content is None else b"200 OK"
                    body = content or b""
                    head = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nX-From: elsewhere\r\nDate: x\r\n"
                    head += b"Connection: close\r\n\r\n"
                    connection.sendall(head % (status, len(body)) + (body if method == "GET" else b""))

        return Handler


def _head(connection: ssl.SSLSocket) -> tuple[str, str]:
    read = b""
    while b"\r\n\r\n" not in read and (piece := connection.recv(65536)):
        read += piece
    method, target, _ = read.split(b"\r\n", 1)[0].decode().split(" ")
    return method, target
