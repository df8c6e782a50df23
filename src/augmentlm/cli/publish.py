"""`publish`: bring a model, a data set, a Space or the collection of them all to the Hugging Face hub."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from augmentlm.errors import InputError


def add_parser(verbs: argparse._SubParsersAction) -> None:
    summary = "publish a model, data set or Space on the hub"
    parser = verbs.add_parser("publish", help=summary, description=f"{summary.capitalize()}: one commit and a version.")
    parser.add_argument("kind", choices=("model", "dataset", "space", "collection"))
    parser.add_argument("name", nargs="?", help="what to publish; nothing lists what there is")
    parser.add_argument("--dry-run", action="store_true", help="show every file, its size and the card; send nothing")
    parser.add_argument("--out", type=Path, metavar="DIR", help="also write the files to a new folder")
    parser.add_argument("--owner", help="a user or an organisation (default: whose token it is)")
    parser.add_argument("--tag", help="the version, such as v1.0 (default: that of this package)")
    parser.add_argument("--private", action="store_true", help="keep it private; one that is public already is refused")


def run(options: argparse.Namespace) -> int:
    from augmentlm.hub import bundles
    from augmentlm.hub.release import publish
    from augmentlm.weights.disk import size

    if options.kind == "collection":
        return _collection(options)
    if not options.name:
        print("\n".join(bundles.names(options.kind)))
        return 0
    if options.kind == "dataset":
        _keep_current(Path(options.name))
    release = bundles.release(options.kind, options.name, options.tag)
    if options.owner:
        release = release.owned_by(options.owner)
    if options.out:
        _write(release.files, options.out)
    if not options.dry_run:
        done = publish(release, options.owner, private=options.private)
        what = "published" if done.is_new else "was published before, nothing has changed"
        _say(f"{done.repo} {release.version}: {what}. Commit {done.commit[:12]}.")
        print(done.url)
        return 0
    place = f"{options.owner}/{release.name}" if options.owner else release.name
    print(f"{release.kind} {place} {release.version}: {len(release.files)} files, {size(release.bytes)}\n")
    for path, count in release.sizes().items():
        print(f"{count:>13,}  {path}")
    print(f"\n{release.card}", end="")
    problems = release.problems()
    for problem in problems:
        _say(problem)
    if not options.owner:
        _say("note: it would go to the user whose token it is; another owner is named with --owner.")
    return 1 if problems else 0


def _keep_current(folder: Path) -> None:
    """The report and the card that go up with a run's data set tell of the rows that it has now."""
    from augmentlm.runs.journal import is_run

    if not is_run(folder):
        return
    from augmentlm.cli.progress import DownloadProgress
    from augmentlm.measures import embed
    from augmentlm.reports.dataset import keep_current

    with DownloadProgress(sys.stderr) as downloaded:
        keep_current(folder, lambda: embed.embedder(downloaded))


def _collection(options: argparse.Namespace) -> int:
    from augmentlm.hub import collection

    if not options.dry_run:
        print(collection.publish(options.owner))
        return 0
    for kind, repo in collection.items(options.owner or "OWNER"):
        print(f"{kind:<8} {repo}")
    _say(f"These would be in the collection {collection.TITLE}, as far as they are on the hub. Nothing was sent.")
    return 0


def _write(files: dict, out: Path) -> None:
    from augmentlm.hub.contents import read

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already.", hint="Give a new or an empty folder.")
    for path, content in files.items():
        target = out / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(read(content))
        except OSError as error:
            raise InputError(f"{target} can't be written: {error.strerror}.", hint="Choose another folder.") from error
    _say(f"{len(files)} files are in {out}.")


def _say(text: str) -> None:
    print(f"augmentlm: {text}", file=sys.stderr)
