"""Publishing: one commit that is all of a repository, and a tag on it; nothing is public before it is whole."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from augmentlm import catalog
from augmentlm.errors import PublishError
from augmentlm.hub import metadata
from augmentlm.hub.contents import Content, length, read, refusals
from augmentlm.weights import hub_files

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Kind = Literal["model", "dataset", "space"]

CARD = "README.md"
MARK = "augmentlm"
"""The tag in the card of a run's data set that says who made it."""

_OF_THE_HUB = (".gitattributes",)
"""Files that the hub puts into a repository itself: never deleted."""

_BEGUN_WITH: dict[Kind, tuple[str, ...]] = {"model": (), "dataset": (), "space": (CARD,)}
"""What else a new repository holds: a Space begins with a card of the hub's own."""

_AGAIN = "Nothing was published. Try again in a few minutes."


@dataclass(frozen=True)
class Release:
    """All of a repository at one version. `name` is the repository's name without its owner, `files` maps paths in
    it to their content, and `stale` says why its card can't stand."""

    kind: Kind
    name: str
    files: Mapping[str, Content]
    version: str
    stale: tuple[str, ...] = ()

    @property
    def card(self) -> str:
        return read(self.files[CARD]).decode("utf-8")

    @property
    def bytes(self) -> int:
        return sum(self.sizes().values())

    def sizes(self) -> dict[str, int]:
        """Bytes by path."""
        return {path: length(content) for path, content in self.files.items()}

    def owned_by(self, owner: str) -> Release:
        """The same with the links of its card leading to this owner's repositories instead of the project's."""
        ours = rf"(?<![\w-]){re.escape(catalog.project().owner)}/(?=augmentlm-)"
        card = re.sub(ours, f"{owner}/", self.card)
        return replace(self, files={**self.files, CARD: card.encode()})

    def problems(self) -> list[str]:
        """Why it may not go up, a sentence each; empty when it may."""
        if CARD not in self.files:
            return [f"There is no {CARD}."]
        return [*self.stale, *metadata.faults(self.card, self.kind), *refusals(self.files, self.kind)]


@dataclass(frozen=True)
class Published:
    """What came of it: the repository, its address, the commit of the version, and whether that commit is new."""

    repo: str
    url: str
    commit: str
    is_new: bool


def publish(
    release: Release, owner: str | None = None, *, private: bool = False, token: str | None = None
) -> Published:
    """Bring a repository to the state of `release`, tagged with its version.

    `owner` is a user or an organisation; by default the user whose token it is: the one given, or the one
    that this user is logged in with. Files that are no longer part of it
    are deleted in the same commit. A repository that is new stays private until commit and tag are there, so nobody
    sees half of it. Publishing the same again makes no commit. Raises `PublishError`: something may not go up, the
    version was published with other files, the repository is public and `private` is wanted, it is not ours to
    replace, or the hub refuses.
    """
    problems = release.problems()
    if problems:
        raise PublishError(" ".join(problems), hint="Nothing was published.")
    with explained(release.name):
        api = hub(token)
        owner = owner or user(api)
        release, repo = release.owned_by(owner), f"{owner}/{release.name}"
    with explained(repo):
        is_new = _create(api, release, repo)
        info = api.repo_info(repo, repo_type=release.kind, files_metadata=True)
        _check(release, repo, info, private)
        commit, changed, is_first = _commit(api, release, repo, info)
        if (is_new or is_first) and not private:
            api.update_repo_settings(repo, repo_type=release.kind, visibility="public")
    prefix = "" if release.kind == "model" else f"{release.kind}s/"
    return Published(repo, f"{hub_files.endpoint()}/{prefix}{repo}", commit, changed)


def hub(token: str | None = None) -> HfApi:
    """The hub, with this token or the user's. Raises `PublishError` when there is none, or the user is offline."""
    if hub_files.is_offline():
        raise PublishError("HF_HUB_OFFLINE says that nothing may be sent.", hint="Unset it to publish.")
    if hub_files.endpoint() != "https://huggingface.co":
        os.environ["HF_HUB_DISABLE_XET"] = "1"  # mirrors speak git-lfs only; read when huggingface_hub is imported
    from huggingface_hub import HfApi, constants, get_token

    if hub_files.endpoint() != "https://huggingface.co":
        constants.HF_HUB_DISABLE_XET = True
    token = token or get_token()
    if not token:
        raise PublishError(
            "Publishing needs a token of the hub with the right to write.",
            hint="Log in with `hf auth login`, or set HF_TOKEN.",
        )
    return HfApi(hub_files.endpoint(), token, library_name="augmentlm")


def user(api: HfApi) -> str:
    """Who the token belongs to."""
    return str(api.whoami()["name"])


def _create(api: HfApi, release: Release, repo: str) -> bool:
    """Make the repository, private, unless it is there; whether it was made."""
    from huggingface_hub.errors import HfHubHTTPError

    if api.repo_exists(repo, repo_type=release.kind):
        return False
    sdk = {"space_sdk": metadata.read(release.card)["sdk"]} if release.kind == "space" else {}
    try:
        api.create_repo(repo, repo_type=release.kind, private=True, **sdk)
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code == 409:
            raise PublishError(
                f"There is a {release.kind} {repo} that your token may not read.",
                hint="Choose another name, or a token with the right to write there.",
            ) from None
        raise
    return True


def _check(release: Release, repo: str, info: Any, private: bool) -> None:
    """Raises `PublishError` where the repository would show what is to be private, or lose what somebody else put
    there: a release with our mark replaces only what has it too."""
    if private and not info.private:
        raise PublishError(
            f"The {release.kind} {repo} is public, and this was to be private.",
            hint="Nothing was published. Choose another name, or make it private on the hub first.",
        )
    there = {file.rfilename for file in info.siblings or ()} - {*_OF_THE_HUB, *_BEGUN_WITH[release.kind]}
    is_marked = MARK in (metadata.read(release.card).get("tags") or ())
    if there and is_marked and MARK not in (info.tags or ()):
        raise PublishError(
            f"There is a {release.kind} {repo} that AugmentLM did not make: its files would be lost.",
            hint="Nothing was published. Choose another name.",
        )


def _commit(api: HfApi, release: Release, repo: str, info: Any) -> tuple[str, bool, bool]:
    """The commit with exactly these files, the version's tag on it; whether it was made now, and whether the version is
    the first: there was nothing before, or all of it without a tag, where publishing was cut short."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    tags = {tag.name: tag.target_commit for tag in api.list_repo_refs(repo, repo_type=release.kind).tags}
    additions = {path: CommitOperationAdd(path, _for_upload(content)) for path, content in release.files.items()}
    there = {file.rfilename: file for file in info.siblings or ()}
    changed: list[Any] = [add for path, add in additions.items() if not _is_same(add, there.get(path))]
    changed += [CommitOperationDelete(path) for path in there if path not in additions and path not in _OF_THE_HUB]
    if changed and release.version in tags:
        raise PublishError(
            f"{repo} has a version {release.version} already, with other files.",
            hint="Give the changed one a new version with --tag.",
        )
    head = str(info.sha)
    if changed:
        message = f"{release.name} {release.version}"
        head = api.create_commit(
            repo, changed, commit_message=message, repo_type=release.kind, parent_commit=info.sha
        ).oid
    if release.version not in tags:
        api.create_tag(repo, tag=release.version, revision=head, repo_type=release.kind)
    is_first = not tags and (not changed or there.keys() <= {*_OF_THE_HUB, *_BEGUN_WITH[release.kind]})
    return head, bool(changed), is_first


def _for_upload(content: Content) -> bytes | str:
    return content if isinstance(content, bytes) else str(content)


def _is_same(addition: Any, there: Any) -> bool:
    """Whether the hub has this very file: by its SHA-256 where it is large, else as a git blob."""
    if there is None or there.size != addition.upload_info.size:
        return False
    if there.lfs:
        with addition.as_file() as file:
            return there.lfs.sha256 == _sha256(file)
    with addition.as_file() as file:
        return there.blob_id == _git_blob(file.read())


def _sha256(file: Any) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def explained(repo: str) -> Iterator[None]:
    """Turns what the hub and the network say into a `PublishError`; tokens are never part of it."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        raise _refused(repo, status, error.server_message or "") from None
    except (HFValidationError, ValueError) as error:
        raise PublishError(f"The hub does not take {repo}: {_line(error)}.", hint="Nothing was published.") from error
    except RuntimeError as error:  # an upload of a large file, whose cause is what counts
        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError) and cause.response is not None:
            raise _refused(repo, cause.response.status_code, cause.server_message or "") from None
        raise PublishError(f"A file of {repo} did not get through: {_line(error)}.", hint=_AGAIN) from error
    except OSError as error:
        raise PublishError(f"The hub can't be reached: {_line(error)}.", hint=_AGAIN) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "httpcore", "httpcore2"):
            raise
        raise PublishError(f"The hub can't be reached: {_line(error)}.", hint=_AGAIN) from error


def _refused(repo: str, status: int, said: str) -> PublishError:
    match status:
        case 401:
            message, hint = "The hub does not know your token.", "Log in anew with `hf auth login`, or set HF_TOKEN."
        case 403:
            message = f"Your token may not write to {repo}."
            hint = "Choose another owner, or a token with the right to write there."
        case 404:
            message, hint = f"There is no {repo} on the hub.", "Check the name and the owner."
        case 409 | 412:
            message = f"Somebody else has changed {repo} at the same time."
            hint = "Nothing was published. Look at what they did, and publish again."
        case 413:
            message, hint = f"A file of {repo} is too large for the hub.", "Nothing was published."
        case 429:
            message, hint = "The hub asks to wait: there were too many requests.", _AGAIN
        case _ if status >= 500:
            message, hint = f"The hub is in trouble: it answered {status}.", _AGAIN
        case _:
            detail = f": {_tidy(said)}" if said else ""
            message, hint = f"The hub refused {repo} with {status}{detail}.", "Nothing was published."
    return PublishError(message, hint=hint)


def _line(error: Exception) -> str:
    return _tidy((str(error).strip().splitlines() or [type(error).__name__])[0])


def _tidy(text: str) -> str:
    return re.sub(r"hf_\w+", "hf_…", text).rstrip(".")[:200]
