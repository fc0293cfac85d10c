"""restic's REST backend over a repository's directory, with accidents: another answer, or none at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

Step = tuple[str, str, int]


@dataclass
class Accident:
    """Strikes at the last of `steps` (method, kind of file, count), each counted from the one before.

    `code` is the answer from then on, for requests of that kind; 0 is no answer until `release`.
    """

    steps: list[Step]
    code: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    count: int = 0

    def meets(self, method: str, kind: str) -> bool:
        """Count a request; whether it is struck."""
        if self.released.is_set():
            return False
        wanted, which, number = self.steps[0]
        if (method, kind) != (wanted, which):
            return False
        self.count += 1
        if self.count < number:
            return False
        if len(self.steps) > 1:
            self.steps, self.count = self.steps[1:], 0
            return False
        self.reached.set()
        return True


class Backend:
    """Serves `root`, a repository in restic's local layout, at `url`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.accident: Accident | None = None
        self.log: list[tuple[str, str, int]] = []
        self.lock = threading.Lock()
        backend = self

        class Handler(_Handler):
            home = backend

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"rest:http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def strike(self, *steps: Step, code: int = 0) -> Accident:
        self.accident = Accident(list(steps), code)
        return self.accident

    def calm(self) -> None:
        """End the accident; a request that hangs is let go, unanswered."""
        if self.accident is not None:
            self.accident.released.set()
        self.accident = None

    def stop(self) -> None:
        self.calm()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def place(self, kind: str, name: str) -> Path:
        if kind == "config":
            return self.root / "config"
        return self.root / "data" / name[:2] / name if kind == "data" else self.root / kind / name

    def names(self, kind: str) -> Iterator[Path]:
        pattern = "*/*" if kind == "data" else "*"
        return (path for path in (self.root / kind).glob(pattern) if path.is_file())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    home: Backend

    def log_message(self, *_words: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        parts = [part for part in urlsplit(self.path).path.split("/") if part]
        kind, name = [*parts, "", ""][:2]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        with self.home.lock:
            accident = self.home.accident
            struck = accident is not None and accident.meets(self.command, kind)
        if accident is not None and struck and not accident.code:
            accident.released.wait()
            self.close_connection = True
            return
        if accident is not None and struck:
            self._answer(accident.code, b"an accident")
            return
        self._do(kind, name, body)

    do_GET = do_HEAD = do_POST = do_DELETE = _serve  # noqa: N815 - the library's names

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _do(self, kind: str, name: str, body: bytes) -> None:
        if kind != "config" and not name:
            rows = [{"name": path.name, "size": path.stat().st_size} for path in self.home.names(kind)]
            kind_of = "application/vnd.x.restic.rest.v2"
            self._answer(200, json.dumps(rows).encode(), content_type=kind_of)
            return
        place = self.home.place(kind, name)
        match self.command:
            case "POST":
                place.parent.mkdir(parents=True, exist_ok=True)
                partial = place.with_name(f"{place.name}.part")
                partial.write_bytes(body)
                partial.rename(place)
                self._answer(200, b"")
            case "DELETE":
                place.unlink(missing_ok=True)
                self._answer(200, b"")
            case _ if not place.exists():
                self._answer(404, b"")
            case _:
                self._send(place.read_bytes())

    def _send(self, data: bytes) -> None:
        asked = self.headers.get("Range", "")
        if not asked.startswith("bytes="):
            self._answer(200, data)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        end = int(last) + 1 if last else len(data)
        self._answer(206, data[int(first) : end])

    def _answer(self, code: int, body: bytes, *, content_type: str = "application/octet-stream") -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
