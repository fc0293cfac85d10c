"""Tells the story of one engine, and leaves nothing."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from importlib import import_module, resources
from pathlib import Path
from typing import Protocol, cast

from hasteward_lab import launch
from hasteward_lab.demo.stage import Stage
from hasteward_lab.state import state_dir

#: who tells the story of which engine
STORIES = {"cnpg": "story", "galera": "galera", "vault": "vault", "standalone": "standalone"}


class Story(Protocol):
    """A module that tells a story; `FILES` lie beside it and are put into the stage's folder."""

    FILES: tuple[str, ...]

    def tell(self, stage: Stage, name: str) -> None:
        """All of it, in a lab called `name` if it needs one; LabError when a step is not as it should be."""


def play(engine: str, name: str, *, colour: bool, keep: bool) -> int:
    """Tell the whole story; 0 if every step did what it should. Leaves nothing."""
    story = cast("Story", import_module(f"hasteward_lab.demo.{STORIES[engine]}"))
    folder = Path(tempfile.mkdtemp(prefix="hasteward-demo-"))
    stage = Stage(folder, colour)
    try:
        for file in story.FILES:
            content = resources.files("hasteward_lab.demo").joinpath(file).read_text(encoding="utf-8")
            (folder / file).write_text(content, encoding="utf-8")
        story.tell(stage, name)
    finally:
        stage.end()
        if keep:
            stage.say(f"The lab stays: hasteward lab down --name {name}; the files are in {folder}")
        else:
            if state_dir(name).root.exists():
                launch.down(state_dir(name))
            shutil.rmtree(folder)
    return 0


def repository(stage: Stage, **more: str) -> None:
    """A place for backups and its password, as a person would set them."""
    password = stage.folder / "password"
    password.write_text(secrets.token_hex(16), encoding="ascii")
    password.chmod(0o600)
    backups = str(stage.folder / "backups")
    stage.export({**more, "HASTEWARD_BACKUPS_PATH": backups, "RESTIC_PASSWORD_FILE": str(password)})
