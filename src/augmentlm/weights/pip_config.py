"""Where this user's pip looks for packages: its environment variables and configuration files."""

from __future__ import annotations

import configparser
import os
import sys
from dataclasses import dataclass
from pathlib import Path

DEFAULT_INDEX = "https://pypi.org/simple"
_SECTIONS = ("global", "download")  # the later one wins


@dataclass(frozen=True)
class PipConfig:
    """`indexes` are the addresses of simple indexes, the main one first; `certificates` a file of authorities."""

    indexes: tuple[str, ...]
    certificates: str | None


def pip_config() -> PipConfig:
    """What pip would use here. Indexes on the disk are left out: they hold no weights."""
    values = _file_values()
    values |= {
        name: os.environ[variable]
        for name in ("index-url", "extra-index-url", "cert")
        if os.environ.get(variable := f"PIP_{name.upper().replace('-', '_')}")
    }
    indexes = [values.get("index-url", DEFAULT_INDEX), *values.get("extra-index-url", "").split()]
    return PipConfig(
        indexes=tuple(index.rstrip("/") for index in indexes if index.startswith(("https://", "http://"))),
        certificates=values.get("cert"),
    )


def _file_values() -> dict[str, str]:
    found: dict[str, str] = {}
    for path in _files():
        # A % in an address is no reference to another value.
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):  # pip itself complains about it
            continue
        for section in _SECTIONS:
            if parser.has_section(section):
                found |= {name.replace("_", "-"): value.strip() for name, value in parser.items(section)}
    return found


def _files() -> list[Path]:
    """pip's configuration files, the later winning: of the system, the user, the environment, PIP_CONFIG_FILE."""
    import platformdirs

    chosen = os.environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:  # pip's way to say: none
        return []
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    system = platformdirs.site_config_dir("pip", appauthor=False, multipath=True)
    folders = [Path(folder) for folder in reversed(system.split(os.pathsep))]
    if sys.platform != "win32":
        folders.append(Path("/etc"))
    folders += [
        Path.home() / ("pip" if sys.platform == "win32" else ".pip"),
        Path.home() / ".config" / "pip",
        platformdirs.user_config_path("pip", appauthor=False, roaming=True),
        Path(sys.prefix),
    ]
    return [folder / name for folder in folders] + ([Path(chosen)] if chosen else [])
