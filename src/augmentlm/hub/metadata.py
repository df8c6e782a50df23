"""The YAML at the head of a card: read, written, and checked offline against the hub's documented rules.

The rules are those of https://huggingface.co/docs/hub/model-cards, /datasets-cards and /spaces-config-reference. The
hub's own check needs the network, and lets much through that it then ignores.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_FRONT = re.compile(r"---\n(.*?\n)---\n", re.DOTALL)
_ID = re.compile(r"[\w.-]+/[\w.-]+")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9.+-]*")

_LICENCES = set(
    "apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m "
    "afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 "
    "cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 "
    "cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 "
    "cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 agpl-3.0 gfdl gpl "
    "gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c ms-pl mpl-2.0 odc-by odbl openrail++ osl-3.0 postgresql "
    "ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license llama2 gemma unknown other".split()
)
_RELATIONS = {"adapter", "finetune", "merge", "quantized"}
_PIPELINES = {"text-generation", "sentence-similarity", "feature-extraction"}
"""Of the hub's list, those that a model of this project can have."""
_LIBRARIES = {"gguf", "peft", "sentence-transformers", "transformers"}
_SIZES = {"n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B"}
_COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
_HARDWARE = re.compile(r"cpu-(basic|upgrade)|zero-a10g|t4-(small|medium)|l4x\d|l40sx\d|a10g-\w+|a100-\w+|h\d00\w*")
_SUMMARY_CHARACTERS = 60
_SCOPES = {
    "email",
    "read-repos",
    "contribute-repos",
    "write-repos",
    "manage-repos",
    "inference-api",
    "jobs",
    "webhooks",
}

_NEEDED = {
    "model": ("license", "language", "base_model", "base_model_relation", "library_name", "pipeline_tag", "tags"),
    "dataset": ("license", "language", "pretty_name", "task_categories", "tags", "size_categories", "configs"),
    "space": tuple(
        "title emoji colorFrom colorTo sdk sdk_version python_version app_file short_description license models "
        "tags".split()
    ),
}


def read(card: str) -> dict[str, Any]:
    """The metadata of a card; empty when it has none, or none that can be read."""
    import yaml

    match = _FRONT.match(card)
    try:
        values = yaml.safe_load(match[1]) if match else {}
    except yaml.YAMLError:
        return {}
    return values if isinstance(values, dict) else {}


def body(card: str) -> str:
    """The card without its metadata."""
    return _FRONT.sub("", card, count=1).lstrip("\n")


def write(values: Mapping[str, Any], text: str) -> str:
    """A card of metadata and text."""
    import yaml

    front = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=110)
    return f"---\n{front}---\n\n{text.lstrip()}"


def faults(card: str, kind: str) -> list[str]:
    """A sentence for each rule that the metadata of a card breaks. `kind` is model, dataset or space."""
    values = read(card)
    if not values:
        return ["The card has no metadata that can be read."]
    missing = [f"The metadata has no {name}." for name in _NEEDED[kind] if not values.get(name)]
    return missing + list({"model": _model, "dataset": _dataset, "space": _space}[kind](values))


def _model(values: Mapping[str, Any]) -> Iterator[str]:
    yield from _common(values)
    yield from _one_of(values, "base_model_relation", _RELATIONS)
    yield from _one_of(values, "library_name", _LIBRARIES)
    yield from _one_of(values, "pipeline_tag", _PIPELINES)
    yield from _ids(values, "base_model")
    yield from _ids(values, "datasets")
    yield from _index(values.get("model-index"))


def _dataset(values: Mapping[str, Any]) -> Iterator[str]:
    yield from _common(values)
    for size in _list(values.get("size_categories")):
        if size not in _SIZES:
            yield f"size_categories is {size!r}, not one of {', '.join(sorted(_SIZES))}."
    for config in _list(values.get("configs")):
        if not isinstance(config, dict) or not config.get("config_name") or not config.get("data_files"):
            yield "A config needs config_name and data_files."


def _space(values: Mapping[str, Any]) -> Iterator[str]:
    yield from _common(values)
    yield from _one_of(values, "sdk", {"gradio", "docker", "static"})
    yield from _one_of(values, "colorFrom", _COLOURS)
    yield from _one_of(values, "colorTo", _COLOURS)
    yield from _ids(values, "models")
    yield from _ids(values, "datasets")
    # YAML reads 3.10 as the number 3.1, so versions have to be texts.
    for name, form in (("sdk_version", r"\d+\.\d+\.\d+"), ("python_version", r"3\.\d+(\.\d+)?")):
        value = values.get(name)
        if value is not None and not (isinstance(value, str) and re.fullmatch(form, value)):
            yield f"{name} is {value!r}; write a version in quotes."
    if len(str(values.get("short_description", ""))) > _SUMMARY_CHARACTERS:
        yield f"short_description is longer than {_SUMMARY_CHARACTERS} characters."
    hardware = values.get("suggested_hardware")
    if hardware is not None and not _HARDWARE.fullmatch(str(hardware)):
        yield f"suggested_hardware is {hardware!r}, which the hub does not have."
    for scope in _list(values.get("hf_oauth_scopes")):
        if scope not in _SCOPES:
            yield f"hf_oauth_scopes names {scope!r}, which the hub does not have."
    if values.get("hf_oauth_scopes") and values.get("hf_oauth") is not True:
        yield "hf_oauth_scopes does nothing without hf_oauth: true."
    for place in _list(values.get("preload_from_hub")):
        if not _ID.match(str(place)):
            yield f"preload_from_hub names {place!r}; write OWNER/NAME and files."


def _common(values: Mapping[str, Any]) -> Iterator[str]:
    yield from _one_of(values, "license", _LICENCES)
    for code in _list(values.get("language")):
        if not isinstance(code, str) or not _LANGUAGE.fullmatch(code):
            yield f"language is {code!r}; write an ISO 639 code."
    for tag in _list(values.get("tags")):
        if not isinstance(tag, str) or not _SLUG.fullmatch(tag):
            yield f"The tag {tag!r} is not lower case with hyphens."


def _one_of(values: Mapping[str, Any], name: str, allowed: set[str]) -> Iterator[str]:
    value = values.get(name)
    if value is not None and value not in allowed:
        yield f"{name} is {value!r}, which the hub does not have."


def _ids(values: Mapping[str, Any], name: str) -> Iterator[str]:
    for value in _list(values.get(name)):
        if not _ID.fullmatch(str(value)):
            yield f"{name} names {value!r}; write OWNER/NAME."


def _index(index: Any) -> Iterator[str]:
    if index is None:
        return
    try:
        for entry in index:
            if not entry["name"]:
                yield "model-index needs a name."
            for result in entry["results"]:
                known = (result["task"]["type"], result["dataset"]["type"], result["dataset"]["name"])
                if not all(known):
                    yield "A result of model-index needs the type of its task, and type and name of its data set."
                for metric in result["metrics"]:
                    if not metric["type"] or isinstance(metric["value"], bool | str):
                        yield f"{metric['type']} of model-index is no number."
    except (KeyError, TypeError) as error:
        yield f"model-index is incomplete: {error} is missing."


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
