"""The collection on the hub that ties models, data and Spaces together."""

from __future__ import annotations

from augmentlm import catalog
from augmentlm.hub import bundles, release

TITLE = "AugmentLM"
DESCRIPTION = "Small models that make fine-tuning data and prompts better, their data, and Spaces to try them."


def publish(owner: str | None = None) -> str:
    """Put everything of ours that is on the hub, and the published checkpoints, into the owner's collection; return its
    address. Made when it is not there; what is in it stays. Raises `PublishError`."""
    with release.explained(f"the collection {TITLE}"):
        api = release.hub()
        who = owner or release.user(api)
        found = next((each for each in api.list_collections(owner=who) if each.title == TITLE), None)
        if found is None:
            found = api.create_collection(TITLE, namespace=who, description=DESCRIPTION)
        for kind, repo in items(who):
            if api.repo_exists(repo, repo_type=kind):
                api.add_collection_item(found.slug, item_id=repo, item_type=kind, exists_ok=True)
        return f"{api.endpoint}/collections/{found.slug}"


def items(owner: str) -> list[tuple[release.Kind, str]]:
    """All that may be in it, there on the hub or not, by kind and name."""
    ours: list[tuple[release.Kind, str]] = [("model", f"{owner}/{name}") for name in bundles.names("model")]
    ours += [("dataset", f"{owner}/{name}") for name in bundles.names("dataset")]
    ours += [("space", f"{owner}/augmentlm-{name}") for name in bundles.names("space")]
    published = [model for model in catalog.models().values() if model.family.startswith("hub-")]
    return ours + [("model", model.artifact.hub.repo) for model in published]
