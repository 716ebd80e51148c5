"""Record and replay: every exchange with a model, as JSON lines.

A text of a prompt is kept once, by its digest, in a line before its first use, since the prefix of all prompts is the
same. An exchange is found again by its key: phase/key/attempt, which a repeated search asks for in the same order of
decisions. What an answer cost when it was recorded stays in the file; replaying it costs nothing.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from ...hardware_adapters.base import Record
from ..errors import AgentUsageError, JournalError, ModelUsageError
from ..runs.patience import patiently
from ..runs.status import Tokens
from ..toolbox import Toolbox
from .base import Models
from .ensemble import Ensemble
from .language import LanguageModels
from .spec import ModelSpec
from .transport import Answer, LanguageOptions, Prompt, Stop, Transport

log = logging.getLogger(__name__)

VERSION = 1


class Head(Record):
    """The first line."""

    kind: Literal["recording"] = "recording"
    version: Literal[1] = VERSION
    model: str = Field(description="Models of the recorded run, as its journal has them")


class Text(Record):
    kind: Literal["text"] = "text"
    digest: str
    text: str


class Exchange(Record):
    kind: Literal["exchange"] = "exchange"
    key: str = Field(description="phase/key/attempt")
    model: str
    prompt: tuple[str, ...] = Field(description="Digests of its texts, in order")
    max_tokens: int
    reply: str
    stop: Stop
    usage: Tokens
    cost_usd: float | None


_LINE: TypeAdapter[Head | Text | Exchange] = TypeAdapter(Annotated[Head | Text | Exchange, Field(discriminator="kind")])


class Recording:
    """What a file holds. Raises AgentUsageError, naming file and line, for one that is no recording."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: dict[str, str] = {}
        self.exchanges: dict[str, Exchange] = {}
        heads: list[Head] = []
        try:
            lines = path.read_text().split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise AgentUsageError(f"cannot read the recording {str(path)!r}: {error}") from error
        for number, line in enumerate(lines[:-1], 1):  # after the last newline is nothing, or half a line
            try:
                entry = _LINE.validate_json(line)
            except ValidationError as error:
                message = error.errors()[0]["msg"]
                raise AgentUsageError(f"{path}:{number}: not a line of a recording ({message})") from error
            if isinstance(entry, Head):
                heads.append(entry)
            elif isinstance(entry, Text):
                self.texts[entry.digest] = entry.text
            else:
                self.exchanges[entry.key] = entry
        if not heads:
            raise AgentUsageError(f"{str(path)!r} is no recording: its first line does not say so")
        self.model = heads[0].model


class Recorder:
    """Appends to the file, a line at a time in one write, so that a killed process leaves whole lines."""

    def __init__(self, path: Path, model: str, *, resumed: bool = False) -> None:
        """`resumed`: the file may hold the run's earlier part. Raises AgentUsageError."""
        self.path = path
        self._written: set[str] = set()
        try:
            if resumed and path.exists() and path.stat().st_size:
                self._written |= Recording(path).texts.keys()
                with path.open("rb+") as file:  # half a line that a killed process left
                    file.truncate(file.read().rfind(b"\n") + 1)
                self._file = os.open(path, os.O_WRONLY | os.O_APPEND)
            else:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | (0 if resumed else os.O_EXCL)
                self._file = os.open(path, flags, 0o644)
                self._append(Head(model=model))
        except FileExistsError as error:
            raise AgentUsageError(
                f"{str(path)!r} exists already; a recording is of one run: name another file"
            ) from error
        except OSError as error:
            raise AgentUsageError(f"cannot record to {str(path)!r}: {error.strerror}") from error

    def add(self, model: str, prompt: Prompt, answer: Answer) -> None:
        digests = tuple(map(digest, prompt.texts))
        for name, text in zip(digests, prompt.texts, strict=True):
            if name not in self._written:
                self._append(Text(digest=name, text=text))
                self._written.add(name)
        said = {"reply": answer.text, "stop": answer.stop, "usage": answer.usage, "cost_usd": answer.cost_usd}
        self._append(Exchange(key=prompt.key, model=model, prompt=digests, max_tokens=prompt.max_tokens, **said))

    def _append(self, line: Record) -> None:
        """Raises JournalError, and then nothing of the line is in the file."""
        data = (line.model_dump_json() + "\n").encode()
        end = os.fstat(self._file).st_size
        try:
            if os.write(self._file, data) < len(data):
                os.ftruncate(self._file, end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise JournalError(f"cannot record to {str(self.path)!r}: {error.strerror}") from error

    def close(self) -> None:
        os.close(self._file)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class RecordingTransport(Transport):
    """What passes through the other transport is kept."""

    def __init__(self, inner: Transport, recorder: Recorder) -> None:
        self.spec = inner.spec
        self.price = inner.price
        self.free = inner.free
        self._inner = inner
        self._recorder = recorder

    def cost(self, tokens: Tokens) -> float | None:
        return self._inner.cost(tokens)

    async def ask(self, prompt: Prompt) -> Answer:
        answer = await self._inner.ask(prompt)
        await patiently(lambda: self._recorder.add(self.spec, prompt, answer))
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


class ReplayTransport(Transport):
    """Answers from a recording, for one model of it. A prompt that differs from the recorded one is answered too, and
    counted in `changed`: prompts improve, conversations stay."""

    free = True

    def __init__(self, spec: str, recording: Recording) -> None:
        self.spec = spec
        self.changed: set[str] = set()
        self._recording = recording

    async def ask(self, prompt: Prompt) -> Answer:
        found = self._recording.exchanges.get(prompt.key)
        if found is None:
            raise ModelUsageError(
                f"the recording {str(self._recording.path)!r} has no answer to {prompt.key}: give the settings and the "
                "seed that it was recorded with"
            )
        if found.prompt != tuple(map(digest, prompt.texts)):
            if not self.changed:
                log.warning("%s: the prompt of %s differs from the recorded one", self._recording.path, prompt.key)
            self.changed.add(prompt.key)
        place, _, attempt = prompt.key.rpartition("/")
        asked_again = f"{place}/{int(attempt) + 1}" in self._recording.exchanges
        return Answer(found.reply, found.stop, found.usage, 0.0, accepted=not asked_again)

    async def aclose(self) -> None:
        if self.changed:
            known = len(self._recording.exchanges)
            log.warning("%s: %d of %d prompts differed", self._recording.path, len(self.changed), known)


@contextmanager
def recorded(models: Models, path: Path, *, resumed: bool = False) -> Iterator[None]:
    """Within it these models' exchanges are recorded. Raises AgentUsageError where there are none, or no place to."""
    members = models.members.values()
    speaking = [member for member in members if isinstance(member, LanguageModels)]
    if len(speaking) < len(members):
        raise AgentUsageError(f"{models.spec!r} has no conversation to record")
    recorder = Recorder(path, models.spec, resumed=resumed)
    for member in speaking:
        member.transport = RecordingTransport(member.transport, recorder)
    try:
        yield
    finally:
        recorder.close()


def make(name: str, toolbox: Toolbox, **options: Any) -> Models:
    """`replay:FILE`: the models of the recorded run, by their names."""
    if not name:
        raise AgentUsageError("which recording? Write replay:FILE")
    if options:
        raise AgentUsageError(f"replay: takes no options, got {', '.join(sorted(options))}")
    recording = Recording(Path(name).expanduser())
    spec = ModelSpec.parse(recording.model)
    members = {
        model: LanguageModels(ReplayTransport(model, recording), toolbox, LanguageOptions()) for model in spec.models
    }
    models = next(iter(members.values())) if len(members) == 1 else Ensemble(spec, members)
    models.spec = f"replay:{name}"
    return models
