"""`microgrid play`: the playground, served by this process to this machine only."""

from __future__ import annotations

import hmac
import secrets
import urllib.parse
import webbrowser
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from microgrid.commands.answers import EXAMPLES, answer
from microgrid.commands.given import CommandError
from microgrid.pictures.playground import page

LARGEST = 200_000
"""Maximum number of bytes of a request."""

TRANSPORT = """const settings = { local: true };
const token = new URLSearchParams(location.search).get("token");
async function ask(request) {
  const body = JSON.stringify(request), signal = AbortSignal.timeout(60000);
  const headers = { "Content-Type": "application/json", "X-Token": token };
  const response = await fetch("answer", { method: "POST", headers, body, signal }).catch((error) => {
    if (error.name === "TimeoutError") throw new Error("no answer within a minute: ask for less");
    throw new Error("the server is gone: start microgrid play again");
  });
  if (!response.ok) throw new Error((await response.text()) || "the server said " + response.status);
  return response.json();
}"""


class _Handler(BaseHTTPRequestHandler):
    """Answers requests that carry the token and that name this machine."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send the page."""
        address = urllib.parse.urlsplit(self.path)
        if address.path != "/":
            return self._send(404, "there is nothing here but the playground")
        token = urllib.parse.parse_qs(address.query).get("token", [""])[0]
        if not self._allowed(token):
            return self._send(403, "open the address that microgrid play printed: it carries the token")
        return self._send(200, page(TRANSPORT, EXAMPLES), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """Send the answer to a request."""
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > LARGEST:
            self.close_connection = True
            if size.isdecimal():  # a client that is still sending would not read the answer
                self.rfile.read(min(int(size), 100 * LARGEST))
            return self._send(413, f"a request has at most {LARGEST:,} bytes")
        body = self.rfile.read(int(size))
        if not self._allowed(self.headers.get("X-Token", "")):
            return self._send(403, "the token is wrong: open the address that microgrid play printed")
        if self.path != "/answer":
            return self._send(404, "there is nothing here")
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return self._send(400, "a request is JSON in UTF-8")
        return self._send(200, answer(text), "application/json")

    def _allowed(self, token: str) -> bool:
        """Return True for the right token, asked of this machine by its own name: another site's page has neither."""
        host = self.headers.get("Host", "")
        own = {f"127.0.0.1:{self.server.server_port}", f"localhost:{self.server.server_port}"}
        return host in own and hmac.compare_digest(token.encode(), self.server.token.encode())

    def _send(self, status: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        data = text.encode("utf-8", "replace")
        self.send_response(status)
        headers = {
            "Content-Type": kind, "Content-Length": str(len(data)), "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
            "img-src data:; connect-src 'self'; frame-ancestors 'none'",
        }  # fmt: skip
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: the terminal shows the address."""


class _Server(ThreadingHTTPServer):
    """A server on the loopback, on a free port if it is 0."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.token = secrets.token_urlsafe(16)

    def address(self, text: str, values: Mapping[str, float]) -> str:
        """Return the address of the page, with an expression and its numbers if there is one."""
        said = urllib.parse.urlencode({"e": text, **values}) if text else ""
        return f"http://127.0.0.1:{self.server_port}/?token={self.token}" + (f"#{said}" if said else "")


def serve(port: int = 0) -> _Server:
    """Return the server; `serve_forever` runs it. Raises CommandError when the port is taken."""
    try:
        return _Server(port)
    except OSError as error:
        raise CommandError(f"port {port} cannot be used: {error.strerror or error}; leave --port out") from None


def play(text: str, values: Mapping[str, float], *, port: int = 0, browser: bool = True) -> int:
    """Serve the playground until Ctrl-C, print its address and open it in the browser. Return the exit code."""
    with serve(port) as server:
        address = server.address(text, values)
        print(f"playground: {address}\nCtrl-C ends it.", flush=True)
        if browser:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0
