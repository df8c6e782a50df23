"""What a training says about itself in files beside its adapter, which go with the adapter when it is exported."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from augmentlm.distill.curve import CURVE, LOSS
from augmentlm.drafts import draft_of, write_text
from augmentlm.errors import InputError

ACCOUNT = "training.json"


def account_of(adapter: Path) -> dict[str, Any] | None:
    """The `training.json` of an adapter: beside its files, or of a run's `adapter/` beside that. None without one."""
    path = _found(adapter, ACCOUNT)
    try:
        account = json.loads(path.read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError):
        return None
    return account if isinstance(account, dict) else None


def export_account(trained: Path, folder: Path, strength: float, since_begin: bool) -> None:
    """Copy the account and the loss curve of the adapter in `trained` to `folder`, beside its export.

    A `strength` other than 1 is noted in the account's `exported`, as that of the change to the base or, with
    `since_begin`, to the adapter that the training began with; of two exports the second is of what the first left. A
    file that the training did not leave is removed from `folder`, where it would speak of another adapter.
    """
    account = account_of(trained)
    if account is None:
        (folder / ACCOUNT).unlink(missing_ok=True)
    else:
        if strength != 1:
            account["exported"] = _noted(account.get("exported") or [], strength, "begin" if since_begin else "base")
        write_text(folder / ACCOUNT, json.dumps(account, indent=2) + "\n")
    for name in (LOSS, CURVE):
        source = _found(trained, name)
        if source is None:
            (folder / name).unlink(missing_ok=True)
        else:
            with draft_of(folder / name) as draft:
                shutil.copyfile(source, draft)


def _noted(before: list[dict[str, Any]], strength: float, of: str) -> list[dict[str, Any]]:
    if before and before[-1]["of"] == of:
        return [*before[:-1], {"strength": before[-1]["strength"] * strength, "of": of}]
    return [*before, {"strength": strength, "of": of}]


def _found(adapter: Path, name: str) -> Path | None:
    places = (adapter, adapter.parent) if adapter.name == "adapter" else (adapter,)
    return next((path for at in places if (path := at / name).is_file()), None)


def digest_of(adapter: Path) -> str:
    """Short for the weights of an adapter; by their content, as a folder may be moved. Raises `InputError` without."""
    weights = b"".join(path.read_bytes() for path in sorted(adapter.glob("adapter_model.*")))
    if not weights:
        raise InputError(f"There is no adapter in {adapter}.", hint="Name the folder that adapter_config.json is in.")
    return hashlib.sha256(weights).hexdigest()[:16]
