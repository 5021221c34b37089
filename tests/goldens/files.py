"""The recorded stories, in files that are written by `python -m tests.goldens --write` alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.goldens.plays import Play, every_story, rehearsals, short_hash

FOLDER: Final = Path(__file__).parent
DECISIONS: Final = FOLDER / "decisions.txt"
STORED: Final = FOLDER / "stored.txt"
TRANSCRIPTS: Final = FOLDER / "transcripts"
# Stories that people read: each rehearsal, and chaos in which much happens.
TRANSCRIBED: Final = frozenset(
    {
        *(name for name in rehearsals() if name.endswith(" sqlite")),
        *(f"chaos sqlite {seed}" for seed in (3, 11, 29, 38, 57, 64, 101, 204)),
    }
)


def transcript_of(name: str) -> Path:
    """Return the file of the transcript of a story."""
    return TRANSCRIPTS / f"{name.replace(' ', '-')}.txt"


@dataclass(slots=True)
class Recorded:
    """What is recorded of each story, by its name. transcripts: by file."""

    decisions: dict[str, str]
    stored: dict[str, str]
    transcripts: dict[Path, str]

    @classmethod
    def read(cls) -> Self:
        """Return what the files say."""
        transcripts = {path: path.read_text("utf-8") for path in TRANSCRIPTS.glob("*.txt")}
        return cls(_lines(DECISIONS), _lines(STORED), transcripts)

    def differences(self, one: Play) -> Iterator[str]:
        """Yield the layer, by the name of its file, in which `one` is not what is recorded."""
        if self.decisions.get(one.name) != _decisions(one):
            yield DECISIONS.name
        if self.stored.get(one.name) != " ".join(one.stored):
            yield STORED.name
        if one.name in TRANSCRIBED:
            path = transcript_of(one.name)
            if self.transcripts.get(path) != _transcript(one):
                yield TRANSCRIPTS.name

    def add(self, one: Play) -> None:
        """Record `one`."""
        self.decisions[one.name] = _decisions(one)
        self.stored[one.name] = " ".join(one.stored)
        if one.name in TRANSCRIBED:
            self.transcripts[transcript_of(one.name)] = _transcript(one)

    def write(self) -> None:
        """Write the files."""
        TRANSCRIPTS.mkdir(exist_ok=True)
        for path, data in ((DECISIONS, self.decisions), (STORED, self.stored)):
            text = "".join(f"{name}: {data[name]}\n" for name in every_story() if name in data)
            path.write_text(text, encoding="utf-8")
        for path, text in self.transcripts.items():
            path.write_text(text, encoding="utf-8")


def _lines(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split(": ", 1) for line in lines)


def _decisions(one: Play) -> str:
    return f"{one.end}, {len(one.decisions)} lines, {short_hash(chr(10).join(one.decisions))}"


def _transcript(one: Play) -> str:
    return "\n".join([one.name, "", *one.decisions, "", f"end: {one.end}", ""])
