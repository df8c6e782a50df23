"""Two models beside each other as HTML: who they were, what each needed, and how votes on them stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from augmentlm import catalog
from augmentlm.arena.contenders import Contender
from augmentlm.arena.duel import Duel, Writing
from augmentlm.arena.standing import Share, Standing
from augmentlm.arena.votes import PEOPLE, Vote
from augmentlm.results import Result
from augmentlm.ui.markup import escape
from augmentlm.ui.texts import say
from augmentlm.weights.disk import size

_NOT_WHOLE = frozenset({"form", "cut_off", "loop", "prompt_leak"})
_NOTHING = "–"


def title(model: str) -> str:
    """A model's name for people."""
    known = catalog.models().get(model)
    return known.title if known else model


def reveal(duel: Duel, vote: Vote, language: str) -> str:
    """After the vote: who stood where, and the numbers of each side."""
    sides = [duel.sides["a"], duel.sides["b"]]
    names = [title(side.contender.model) for side in sides]
    entries = (vote.left, vote.right) if vote.order == "left_first" else (vote.right, vote.left)
    chosen = {"left": vote.left, "right": vote.right}.get(vote.winner)
    said = (
        say(language, "compare.you_chose", name=names[0 if chosen is entries[0] else 1])
        if chosen
        else say(language, f"compare.you_said_{vote.winner}")
    )
    rows = [
        ("quantization", [entry.quantization for entry in entries]),
        ("disk", [_bytes(side.contender.disk_bytes) for side in sides]),
        ("memory", [_memory(side.contender) for side in sides]),
        ("first_token", [_number(entry.ttft_s, "{:.1f} s") for entry in entries]),
        ("speed", [_number(side.result.tokens_per_second if side.result else 0, "{:.1f}") for side in sides]),
        ("seconds", [_number(entry.seconds, "{:.1f} s") for entry in entries]),
        ("tokens", [str(entry.completion_tokens) for entry in entries]),
        ("facts_lost", [_lost(side, language) for side in sides] if duel.task == "refine" else []),
        ("valid", [_valid(side, language) for side in sides]),
        ("price", [_price(side) for side in sides] if any(side.contender.price for side in sides) else []),
    ]
    head = "".join(
        f'<th scope="col"><span class="alm-letter">{letter}</span> {escape(name)}</th>'
        for letter, name in zip("AB", names, strict=True)
    )
    body = "".join(
        f'<tr><th scope="row">{escape(say(language, f"compare.row_{key}"))}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for key, cells in rows
        if cells
    )
    together = escape(say(language, "compare.together"))
    return (
        f'<p class="alm-summary" role="status">{escape(said)}</p>'
        f"{side_by_side(head, body, ' – '.join(names))}"
        f'<p class="alm-meta">{together}</p>'
    )


def side_by_side(head: str, body: str, name: str) -> str:
    """A table of things in rows and models in columns; where it is wider than the page, keys can scroll it too."""
    return (
        f'<div class="alm-scroll" tabindex="0" role="region" aria-label="{escape(name)}">'
        f'<table class="alm-versus"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def standing(found: Standing, language: str, before: Standing | None = None) -> str:
    """Wins, ties and losses of one judge as a bar that moves from where it stood, with what the votes say."""
    names = title(found.left.model), title(found.right.model)
    if names[0] == names[1]:
        names = f"{names[0]} ({found.left.quantization})", f"{names[1]} ({found.right.quantization})"
    counts = {"wins": found.wins, "ties": found.ties, "losses": found.losses}
    labels = {
        "wins": say(language, "results.wins", name=names[0]),
        "ties": say(language, "results.ties"),
        "losses": say(language, "results.wins", name=names[1]),
    }
    earlier = before.shares if before else None
    bars = [
        (kind, labels[kind], counts[kind], share, earlier[kind].share if earlier else share.share)
        for kind, share in found.shares.items()
    ]
    notes = [_verdict(found, names, language)]
    if found.judge in (found.left.model, found.right.model):
        notes.append(say(language, "results.judges_itself"))
    if found.both_bad:
        notes.append(say(language, "results.both_bad", count=found.both_bad))
    if found.length:
        key = "results.length_longer" if found.length.phi > 0 else "results.length_shorter"
        share = Share(found.length.share, found.length.low, found.length.high)
        notes.append(say(language, key, name=names[0], share=percent(share), plain=percent(found.score)))
    return figure(f"{names[0]} – {names[1]}", who(found.judge, language), bars, notes, language)


def figure(
    name: str,
    judged: str,
    bars: Sequence[tuple[str, str, int, Share, float]],
    notes: Iterable[str],
    language: str,
) -> str:
    """A bar in three parts (kind, label, count, share, share before), the numbers below it, and sentences."""
    if not sum(count for _, _, count, _, _ in bars):
        return ""
    parts = "".join(
        f'<div class="alm-part {kind}" style="--from:{100 * was:.2f}%;--to:{100 * share.share:.2f}%"></div>'
        for kind, _, _, share, was in bars
        if share.share or was
    )
    items = "".join(
        f'<li class="{kind}"><span class="alm-swatch {kind}" aria-hidden="true"></span>{escape(label)}: '
        f"<strong>{count}</strong> <span>{escape(percent(share))}</span></li>"
        for kind, label, count, share, _ in bars
    )
    said = "".join(f"<p>{escape(note)}</p>" for note in notes if note)
    total = say(language, "results.votes", count=sum(count for _, _, count, _, _ in bars))
    return (
        f'<figure class="alm-standing"><figcaption><strong>{escape(name)}</strong> · {escape(total)} · '
        f'{escape(judged)}</figcaption><div class="alm-parts" aria-hidden="true">{parts}</div>'
        f"<ul>{items}</ul>{said}</figure>"
    )


def who(judge: str, language: str) -> str:
    """Who judged: people, or which model."""
    if judge == PEOPLE:
        return say(language, "results.by_people")
    return say(language, "results.by_model", name=title(judge))


def percent(share: Share) -> str:
    return f"{100 * share.share:.0f} % ({100 * share.low:.0f}–{100 * share.high:.0f})"


def _verdict(found: Standing, names: tuple[str, str], language: str) -> str:
    better = {"left": names[0], "right": names[1]}.get(found.says)
    return say(language, "results.better", name=better) if better else say(language, f"results.{found.says}")


def _bytes(count: int | None) -> str:
    return size(count) if count else _NOTHING


def _memory(contender: Contender) -> str:
    way = contender.plan
    return f"≈ {size(way.bytes_needed)}" if way else _NOTHING


def _number(value: float, form: str) -> str:
    return form.format(value) if value else _NOTHING


def _whole(side: Writing) -> Result | None:
    """The result, unless the vote cut it off: then nothing can be said of it."""
    return side.result if side.result and side.result.finish != "cancelled" else None


def _lost(side: Writing, language: str) -> str:
    result = _whole(side)
    if result is None:
        return _NOTHING
    lost = next((each.evidence for each in result.findings if each.code == "facts_lost"), "")
    return lost.removeprefix("missing: ") or say(language, "compare.none")


def _valid(side: Writing, language: str) -> str:
    result = _whole(side)
    if result is None:
        return _NOTHING
    good = result.usable and _NOT_WHOLE.isdisjoint(finding.code for finding in result.findings)
    return say(language, "compare.yes" if good else "compare.no")


def _price(side: Writing) -> str:
    price, result = side.contender.price, side.result
    if price is None or result is None:
        return _NOTHING
    # Per million tokens, so a thousand such results are a thousandth of that.
    return f"{(result.prompt_tokens * price[0] + result.completion_tokens * price[1]) / 1000:.2f}"
