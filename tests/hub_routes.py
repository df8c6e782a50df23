"""The routes of the hub double: each answers as the real hub does to huggingface_hub, or refuses as it would."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import yaml
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from hub_double import (
    FIRST,
    FIRST_OF_A_SPACE,
    LARGE,
    Commit,
    Content,
    HubDouble,
    Repo,
    blob,
    digest,
    front_matter,
    oid_of,
    size,
)

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
BLOCK = 1 << 20


class _RefusedError(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


def app(hub: HubDouble) -> FastAPI:
    served = FastAPI(openapi_url=None)

    @served.middleware("http")
    async def misbehave(request: Request, call_next: Any) -> Response:
        asked = f"{request.method} {request.url.path}"
        hub.asked.append(asked)
        hub.tokens.add(request.headers.get("authorization", "").removeprefix("Bearer "))
        hub.before(asked)
        fault = next((each for each in hub.faults if each.times and re.search(each.where, asked)), None)
        if fault is None:
            return await call_next(request)
        fault.times -= 1
        if fault.cut is None and fault.body is None:
            return JSONResponse({"error": "a fault"}, fault.status, fault.headers)
        answer = await call_next(request)
        body = fault.body if fault.body is not None else b"".join([block async for block in answer.body_iterator])
        headers = {**answer.headers, "content-length": str(len(body))}
        return StreamingResponse(iter([body[: fault.cut]]), answer.status_code, headers)

    @served.exception_handler(_RefusedError)
    async def refused(_: Request, error: _RefusedError) -> Response:
        headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
        return JSONResponse({"error": error.message}, error.status, {k: v for k, v in headers.items() if v})

    def user(request: Request) -> str | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and token not in hub.users:
            raise _RefusedError(401, message="Invalid credentials in Authorization header")
        return hub.users.get(token)

    def owner(request: Request, namespace: str | None = None) -> str:
        name = user(request)
        if name is None:
            raise _RefusedError(401, message="Invalid username or password.")
        if namespace and namespace != name:
            raise _RefusedError(403, message=f"You don't have the rights to write to {namespace}")
        return name

    def find(kind: str, repo: str, request: Request) -> Repo:
        found = hub.repos.get((kind, hub.renamed.get(repo, repo)))
        name = user(request)
        if found is None or (found.private and name != found.id.split("/")[0]):
            raise _RefusedError(404 if name else 401, "RepoNotFound", "Repository not found")
        if found.gated and name is None:
            raise _RefusedError(401, "GatedRepo", "Access to this model is restricted")
        return found

    def commit_of(repo: Repo, revision: str) -> Commit:
        found = repo.at(revision)
        if found is None:
            raise _RefusedError(404, "RevisionNotFound", "Invalid rev id")
        return found

    @served.get("/api/whoami-v2")
    async def whoami(request: Request) -> Any:
        return {"name": owner(request), "type": "user", "auth": {"accessToken": {"role": "write"}}}

    @served.post("/api/validate-yaml")
    async def validate(request: Request) -> Any:
        asked = await request.json()
        match = re.match(r"---\n(.*?)\n---\n", asked["content"], re.DOTALL)
        values = yaml.safe_load(match[1]) if match else {}
        errors = [] if isinstance(values, dict) else [{"message": "not a mapping"}]
        return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)

    @served.post("/api/repos/create")
    async def create(request: Request) -> Any:
        asked = await request.json()
        namespace = asked.get("organization") or owner(request)
        owner(request, namespace)
        kind, repo = asked.get("type", "model"), f"{namespace}/{asked['name']}"
        if kind == "space" and not asked.get("sdk"):
            raise _RefusedError(400, message="a Space needs an sdk")
        url = f"{hub.url}/{'' if kind == 'model' else kind + 's/'}{repo}"
        if (kind, repo) in hub.repos:
            return JSONResponse({"error": "You already created this repo", "url": url}, 409)
        private = asked.get("private", False) or asked.get("visibility") == "private"
        first = FIRST_OF_A_SPACE if kind == "space" else FIRST
        hub.repos[kind, repo] = Repo(kind, repo, private=private, sdk=asked.get("sdk"), commits=[first])
        return {"url": url, "id": repo}

    @served.put("/api/{kinds}/{namespace}/{name}/settings")
    async def settings(kinds: str, namespace: str, name: str, request: Request) -> Any:
        owner(request, namespace)
        repo, asked = find(KINDS[kinds], f"{namespace}/{name}", request), await request.json()
        repo.private = asked.get("private", asked.get("visibility") == "private")
        return {}

    @served.get("/api/{kinds}/{namespace}/{name}/refs")
    async def refs(kinds: str, namespace: str, name: str, request: Request) -> Any:
        repo = find(KINDS[kinds], f"{namespace}/{name}", request)
        tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": oid} for tag, oid in repo.tags.items()]
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.head.oid}
        return {"branches": [main], "tags": tags, "converts": []}

    @served.post("/api/{kinds}/{namespace}/{name}/tag/{revision}")
    async def tag(kinds: str, namespace: str, name: str, revision: str, request: Request) -> Any:
        owner(request, namespace)
        repo, wanted = find(KINDS[kinds], f"{namespace}/{name}", request), (await request.json())["tag"]
        if wanted in repo.tags:
            raise _RefusedError(409, message="Tag reference exists already")
        repo.tags[wanted] = commit_of(repo, revision).oid
        return {}

    @served.post("/api/{kinds}/{namespace}/{name}/preupload/{revision}")
    async def preupload(kinds: str, namespace: str, name: str, revision: str, request: Request) -> Any:
        owner(request, namespace)
        head = commit_of(find(KINDS[kinds], f"{namespace}/{name}", request), revision)
        files = []
        for file in (await request.json())["files"]:
            path = file["path"]
            oid = digest(path, head.files[path])[1] if path in head.files else None
            mode = "lfs" if path.endswith(LARGE) else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return {"files": files}

    @served.post("/{repo:path}.git/info/lfs/objects/batch")
    async def batch(repo: str, request: Request) -> Any:
        owner(request)
        objects = []
        for wanted in (await request.json())["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in hub.objects:
                entry["actions"] = {"upload": {"href": f"{hub.url}/lfs/{wanted['oid']}"}}
            objects.append(entry)
        return JSONResponse({"transfer": "basic", "objects": objects}, media_type="application/vnd.git-lfs+json")

    @served.put("/lfs/{oid}")
    async def store(oid: str, request: Request) -> Any:
        body = await request.body()
        if hashlib.sha256(body).hexdigest() != oid:
            raise _RefusedError(422, message="the digest is another")
        hub.objects[oid] = body
        return {}

    @served.post("/api/{kinds}/{namespace}/{name}/commit/{revision}")
    async def commit(kinds: str, namespace: str, name: str, revision: str, request: Request) -> Any:
        owner(request, namespace)
        repo = find(KINDS[kinds], f"{namespace}/{name}", request)
        files, title = dict(repo.head.files), ""
        for line in (await request.body()).splitlines():
            item = json.loads(line)
            key, value = item["key"], item["value"]
            if key == "header":
                title = value["summary"]
                if value.get("parentCommit", repo.head.oid) != repo.head.oid:
                    raise _RefusedError(412, message="A commit has happened since. Please refresh and try again.")
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = hub.objects[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        made = Commit(oid_of(repo.head.oid, files), title, files)
        repo.commits.append(made)
        return {"success": True, "commitOid": made.oid, "commitUrl": f"{hub.url}/{repo.id}/commit/{made.oid}"}

    async def info(kinds: str, namespace: str, name: str, request: Request, revision: str = "main") -> Any:
        repo = find(KINDS[kinds], f"{namespace}/{name}", request)
        found = commit_of(repo, revision)
        card = yaml.safe_load(text[1]) if (text := front_matter(found)) else {}
        siblings = []
        for path, content in found.files.items():
            kind, oid = digest(path, content)
            entry = {"rfilename": path, "size": size(content), "blobId": oid if kind == "git" else blob(b"lfs")}
            if kind == "lfs":
                entry["lfs"] = {"sha256": oid, "size": size(content), "pointerSize": 134}
            siblings.append(entry)
        known = {"id": repo.id, "sha": found.oid, "private": repo.private, "gated": repo.gated and "manual"}
        return {**known, "siblings": siblings, "cardData": card, "tags": card.get("tags", []), "sdk": repo.sdk}

    @served.get("/api/{kinds}/{namespace}/{name}/tree/{revision}")
    @served.get("/api/{kinds}/{namespace}/{name}/tree/{revision}/{folder:path}")
    async def tree(
        kinds: str,
        namespace: str,
        name: str,
        revision: str,
        request: Request,
        folder: str = "",
        recursive: bool = False,
    ) -> Any:
        within, found = f"{folder}/" if folder else "", []
        files = commit_of(find(KINDS[kinds], f"{namespace}/{name}", request), revision).files
        for path, content in files.items():
            inner, _, deeper = path.removeprefix(within).partition("/")
            if not path.startswith(within):
                continue
            if recursive or not deeper:
                found.append(leaf(path, content))
            elif not any(each["path"] == within + inner for each in found):
                found.append({"type": "directory", "path": within + inner, "oid": blob(inner.encode())})
        if folder and not found:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        return found

    @served.post("/api/{kinds}/{namespace}/{name}/paths-info/{revision}")
    async def paths_info(kinds: str, namespace: str, name: str, revision: str, request: Request) -> Any:
        asked = parse_qs((await request.body()).decode())["paths"]
        files = commit_of(find(KINDS[kinds], f"{namespace}/{name}", request), revision).files
        return [leaf(path, files[path]) for path in asked if path in files]

    @served.get("/api/collections")
    async def collections(request: Request) -> Any:
        name = request.query_params.get("owner")
        found = [each for each in hub.collections.values() if each["slug"].startswith(f"{name}/")]
        return [{key: value for key, value in each.items() if key != "position"} for each in found]

    @served.post("/api/collections")
    async def new_collection(request: Request) -> Any:
        asked = await request.json()
        owner(request, asked["namespace"])
        slug = f"{asked['namespace']}/{re.sub('[^a-z0-9]+', '-', asked['title'].lower())}-0123456789abcdef01234567"
        known = {"slug": slug, "title": asked["title"], "description": asked.get("description"), "items": []}
        known |= {"owner": {"name": asked["namespace"]}, "lastUpdated": "2026-01-01T00:00:00.000Z"}
        known |= {"theme": "blue", "position": len(hub.collections), "upvotes": 0}
        hub.collections[slug] = {**known, "private": asked.get("private", False)}
        return hub.collections[slug]

    @served.get("/api/collections/{namespace}/{slug}")
    async def collection(namespace: str, slug: str) -> Any:
        return hub.collections[f"{namespace}/{slug}"]

    @served.post("/api/collections/{namespace}/{slug}/items")
    async def add_item(namespace: str, slug: str, request: Request) -> Any:
        owner(request, namespace)
        found, item = hub.collections[f"{namespace}/{slug}"], (await request.json())["item"]
        if any((each["id"], each["type"]) == (item["id"], item["type"]) for each in found["items"]):
            raise _RefusedError(409, message="Item already in collection")
        found["items"].append({**item, "_id": str(len(found["items"])), "position": len(found["items"])})
        return found

    # After the collections, whose addresses have the same form.
    served.get("/api/{kinds}/{namespace}/{name}")(info)
    served.get("/api/{kinds}/{namespace}/{name}/revision/{revision}")(info)

    @served.api_route("/{where:path}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    async def resolve(where: str, revision: str, path: str, request: Request) -> Response:
        kinds, _, rest = where.partition("/")
        kind, name = (KINDS[kinds], rest) if kinds in ("datasets", "spaces") else ("model", where)
        if name in hub.renamed:
            moved = request.url.path.replace(name, hub.renamed[name], 1)
            return Response(status_code=307, headers={"Location": moved})
        found = commit_of(find(kind, name, request), revision)
        if path not in found.files:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        content = found.files[path]
        first, last, status = 0, size(content) - 1, 200
        headers = {"X-Repo-Commit": found.oid, "ETag": f'"{digest(path, content)[1]}"', "Accept-Ranges": "bytes"}
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "")):
            first, last, status = int(match[1]), min(int(match[2] or last), last), 206
            headers["Content-Range"] = f"bytes {first}-{last}/{size(content)}"
        headers["Content-Length"] = str(last - first + 1)
        body = iter(()) if request.method == "HEAD" else blocks(content, first, last)
        return StreamingResponse(body, status, headers, media_type="application/octet-stream")

    return served


def leaf(path: str, content: Content) -> dict[str, Any]:
    """A file as a listing tells it."""
    kind, oid = digest(path, content)
    told = {"type": "file", "path": path, "size": size(content), "oid": oid}
    return {**told, "lfs": {**told, "pointerSize": 134}} if kind == "lfs" else told


def blocks(content: Content, first: int, last: int) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content[first : last + 1]
        return
    with content.open("rb") as file:
        file.seek(first)
        while block := file.read(min(BLOCK, last + 1 - file.tell())):
            yield block
