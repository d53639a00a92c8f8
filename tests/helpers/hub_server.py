"""A Hugging Face hub on this machine: as much of its HTTP interface as downloading files needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from helpers.local_server import served

#: repository -> revision -> file name -> content
Repositories = dict[str, dict[str, dict[str, bytes]]]


def commit_of(repository: str, revision: str) -> str:
    """The commit that a revision stands for."""
    return hashlib.sha1(f"{repository}@{revision}".encode()).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    repositories: Repositories
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _answer(self, body: bool) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._about("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
        elif len(parts) > 4 and parts[2] == "resolve":
            self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]), body)
        else:
            self._send(404, {"X-Error-Code": "RepoNotFound"})

    def _find(self, repository: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and files of a revision, given by name or commit; None after an answer that there is none."""
        if repository not in self.repositories:
            self._send(404, {"X-Error-Code": "RepoNotFound"})
            return None
        for name, files in self.repositories[repository].items():
            if revision in (name, commit_of(repository, name)):
                return commit_of(repository, name), files
        self._send(404, {"X-Error-Code": "RevisionNotFound"})
        return None

    def _about(self, repository: str, revision: str) -> None:
        found = self._find(repository, revision)
        if found:
            about = {"id": repository, "sha": found[0], "siblings": [{"rfilename": name} for name in found[1]]}
            self._send(200, {"Content-Type": "application/json"}, json.dumps(about).encode())

    def _file(self, repository: str, revision: str, name: str, body: bool) -> None:
        found = self._find(repository, revision)
        if not found:
            return
        commit, files = found
        if name not in files:
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        etag = f'"{hashlib.sha256(files[name]).hexdigest()}"'
        self._send(200, {"X-Repo-Commit": commit, "ETag": etag}, files[name], body=body)

    def _send(self, code: int, headers: dict[str, str], content: bytes = b"", body: bool = True) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def hub(repositories: Repositories) -> Iterator[str]:
    """Serve repositories on a free port of this machine; yields the address for HF_ENDPOINT."""
    with served(type("Handler", (_Handler,), {"repositories": repositories})) as address:
        yield address
