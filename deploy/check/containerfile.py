"""What deploy/Containerfile says, as data: as much of the language as that file uses."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

IGNORED = {"__pycache__"}
"""What `.dockerignore` leaves out of every folder."""


class ContainerfileError(ValueError):
    """The file uses something that is not understood here; the message names the line."""


class Instruction(NamedTuple):
    """One instruction."""

    word: str
    """`RUN`, `COPY`, ..."""
    value: str
    """What follows the word: lines that are continued stand on one line."""


class Copy(NamedTuple):
    """What a `COPY` says."""

    sources: tuple[str, ...]
    target: str
    stage: str | None
    """The stage that the sources are in; None for the build context."""


class Stage(NamedTuple):
    """From one `FROM` to the next one."""

    name: str
    instructions: tuple[Instruction, ...]

    def last(self, word: str) -> str:
        """Return the value of the last instruction of a kind.

        Raises:
            ContainerfileError: There is none.
        """
        values = [value for found, value in self.instructions if found == word]
        if not values:
            raise ContainerfileError(f"the stage {self.name!r} has no {word}")
        return values[-1]

    def environment(self) -> dict[str, str]:
        """Return what `ENV` sets."""
        words = [word for found, value in self.instructions if found == "ENV" for word in shlex.split(value)]
        return dict(word.split("=", 1) for word in words)

    def command(self) -> list[str]:
        """Return what a container runs when nothing else is said."""
        return [*json.loads(self.last("ENTRYPOINT")), *json.loads(self.last("CMD"))]

    def health_check(self) -> list[str]:
        """Return the command that tells whether the container is healthy."""
        _, _, command = self.last("HEALTHCHECK").partition("CMD ")
        return list(json.loads(command))


def read_stages(path: Path) -> list[Stage]:
    """Read a file, stage by stage.

    Raises:
        ContainerfileError: It does not begin with a `FROM`, or two stages have one name.
    """
    stages: list[Stage] = []
    for instruction in _instructions(path.read_text()):
        if instruction.word == "FROM":
            name = re.search(r"\sAS\s+(\S+)$", instruction.value)
            stages.append(Stage(name[1] if name else str(len(stages)), ()))
        elif stages:
            last = stages[-1]
            stages[-1] = last._replace(instructions=(*last.instructions, instruction))
        elif instruction.word != "ARG":
            raise ContainerfileError(f"{instruction.word} stands before the first FROM")
    if len({stage.name for stage in stages}) < max(1, len(stages)):
        raise ContainerfileError("there must be a FROM, and no two stages of one name")
    return stages


def read_copy(value: str) -> Copy:
    """Take a `COPY` apart.

    Raises:
        ContainerfileError: It has an option other than `--from`, or no source.
    """
    words = shlex.split(value)
    options = [word for word in words if word.startswith("--")]
    stages = [option.removeprefix("--from=") for option in options if option.startswith("--from=")]
    *sources, target = [word for word in words if word not in options]
    if len(stages) < len(options) or not sources:
        raise ContainerfileError(f"COPY {value}: not understood")
    return Copy(tuple(sources), target, stages[0] if stages else None)


def _instructions(text: str) -> Iterator[Instruction]:
    # A comment may stand between the lines of one instruction, and is no part of it.
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, value = line.strip().partition(" ")
        if word:
            yield Instruction(word.upper(), " ".join(value.split()))
