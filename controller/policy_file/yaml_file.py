"""A YAML file as plain data, with the position of each part.

source = read(path)                    # PolicyError: not YAML, too big, unreadable
flaws = source.flaws(problems)         # each is `file:line:column: path: problem`, in order
"""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from controller.errors import Flaw, PolicyError
from controller.immutable import Immutable
from controller.policy_file.mistake import Place, PolicyMistake, place_text
from controller.policy_file.strict_yaml import (
    DocumentLimits,
    Mistake,
    Node,
    Position,
    YamlReadError,
    build,
)

# A policy has about two kilobytes; a file this large is something else.
MAX_BYTES = 1 << 20


class YamlSource(Immutable):
    """The content of a YAML file, and the mistakes in its YAML.

    name: the file's name in flaws.
    """

    name: str
    root: Node
    mistakes: tuple[Mistake, ...]

    @property
    def data(self) -> object:
        """Mappings, lists, text, numbers, true, false and None; None where a mistake took it."""
        return self.root.data

    def flaws(self, problems: Iterable[PolicyMistake] = ()) -> list[Flaw]:
        """Return each mistake of the YAML and each of `problems` at its place, in file order.

        Those of a template that the policy extends come last, with the template's name.

        A problem that only follows from a mistake of the YAML is left out, and so is one behind an
        alias that is reported where the alias comes from.
        """
        items = [
            ("", one.position, _flaw(self.name, one.position, one.place, one.message))
            for one in self.mistakes
        ]
        reported: set[tuple[int, Place, str]] = set()
        for problem in problems:
            nodes = self._path(problem.place)
            origin = nodes[-1].origin
            rest = problem.place[len(nodes) - 1 :]
            if nodes[-1].invalid or (id(origin), rest, problem.message) in reported:
                continue
            reported |= {
                (id(node), problem.place[level:], problem.message)
                for level, node in enumerate(nodes)
            }
            file, position = nodes[-1].file, nodes[-1].position
            if problem.at_key and not rest and len(nodes) > 1:
                position = nodes[-2].keys.get(problem.place[-1], position)
            flaw = _flaw(file or self.name, position, problem.place, problem.message)
            items.append((file, position, flaw))
        return [flaw for _, _, flaw in sorted(items, key=lambda item: item[:2])]

    def _path(self, place: Place) -> list[Node]:
        """Return the nodes on the way to `place`, as far as there are any.

        An alias has no child nodes: a problem inside it is reported at the alias.
        """
        nodes = [self.root]
        for part in place:
            child = nodes[-1].children.get(part)
            if child is None:
                break
            nodes.append(child)
        return nodes


def read(path: Path, limits: DocumentLimits | None = None) -> YamlSource:
    """Return the YAML of the file at `path`.

    Raises PolicyError with one line when the file cannot be read, is no YAML, or exceeds a limit.
    """
    text = read_text(path)
    return parse(text, str(path), limits)


def read_text(path: Path) -> str:
    """Return the text of the file at `path`.

    Raises PolicyError with one line when it cannot be read, is no UTF-8, or too large.
    """
    try:
        raw = _read_bytes(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PolicyError.of(Flaw(str(path), f"cannot be read: {reason}")) from error
    if len(raw) > MAX_BYTES:
        size = f"is larger than {MAX_BYTES >> 20} MiB: no file for this program"
        raise PolicyError.of(Flaw(str(path), size))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        problem = "is not UTF-8 from here on: save the file as UTF-8"
        raise _policy_error(str(path), Position.after(before), problem) from error


def _read_bytes(path: Path) -> bytes:
    """Return the bytes of a file, and at most one more than it may have.

    Raises OSError for anything but a regular file, such as a pipe, without waiting for a writer.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is no file, but a pipe, a terminal or a device")
        return file.read(MAX_BYTES + 1)


def parse(text: str, name: str, limits: DocumentLimits | None = None) -> YamlSource:
    """Return the YAML of `text`; `name` is its name in flaws.

    Raises PolicyError with one line when the text is no YAML, or exceeds a limit.
    """
    try:
        root, mistakes = build(text, limits or DocumentLimits())
    except YamlReadError as stop:
        raise _policy_error(name, stop.position, stop.message) from stop.__cause__
    return YamlSource(name, root, tuple(mistakes))


def _policy_error(name: str, position: Position, message: str) -> PolicyError:
    return PolicyError.of(_flaw(name, position, (), message))


def _flaw(name: str, position: Position, place: Place, message: str) -> Flaw:
    return Flaw(name, message, position.line, position.column, place_text(place))
