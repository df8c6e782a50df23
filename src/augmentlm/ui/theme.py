"""How the page looks: Gradio's plainest theme in our colours, and our own style sheets and script."""

from __future__ import annotations

from importlib import resources

import gradio as gr

_FONT = [
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Noto Sans",
    "PingFang SC",
    "Microsoft YaHei",
    "sans-serif",
]
_STYLE = ("colours", "frame", "forms", "buttons", "results", "tables", "pairs", "dataset", "models", "compare")
"""The style sheets, in their order: of two rules that weigh the same, the later one holds. Everything in them is nested
in the container's name twice, which outweighs Gradio's own rules."""

_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]


def theme() -> gr.themes.Base:
    """Fonts of the reader's own system: nothing is fetched. White on this teal has a contrast of 5.5 to 1."""
    look = gr.themes.Base(primary_hue="teal", neutral_hue="stone", font=_FONT, font_mono=_MONO, radius_size="lg")
    return look.set(
        body_background_fill="#f7f6f3",
        body_background_fill_dark="#151412",
        body_text_color="#1f1d1a",
        body_text_color_dark="#ece9e4",
        body_text_color_subdued="#5c5750",
        body_text_color_subdued_dark="#aea79d",
        block_info_text_color="#5c5750",
        block_info_text_color_dark="#aea79d",
        input_background_fill="#ffffff",
        input_background_fill_dark="#171614",
        input_background_fill_focus="#ffffff",
        input_background_fill_focus_dark="#171614",
        input_border_color="#8f897f",
        input_border_color_dark="#7d766c",
        input_border_color_focus="*primary_700",
        input_border_color_focus_dark="*primary_400",
        input_border_width="1px",
        input_placeholder_color="#5c5750",
        input_placeholder_color_dark="#aea79d",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_border_color="*primary_700",
        button_primary_border_color_dark="*primary_700",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        slider_color="*primary_700",
        slider_color_dark="*primary_400",
        checkbox_background_color_selected="*primary_700",
        checkbox_background_color_selected_dark="*primary_700",
    )


def head() -> str:
    """What goes into the page's head. The style sheets go there too, because Gradio rewrites the one it is given."""
    files = resources.files("augmentlm.ui")
    style = "".join(files.joinpath("style", f"{name}.css").read_text(encoding="utf-8") for name in _STYLE)
    script = files.joinpath("page.js").read_text(encoding="utf-8")
    return f"<style>{style}</style><script>{script}</script>"
