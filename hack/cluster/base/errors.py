"""The one error that reaches the user: a sentence, and where its evidence is."""

from pathlib import Path

TAIL_LINES = 15


class ClusterError(Exception):
    """Something the user must know; `log` is the file whose last lines explain it."""

    def __init__(self, sentence: str, log: Path | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.log = log

    def report(self) -> str:
        """Return the sentence, the log's path and its last lines."""
        if self.log is None or not self.log.exists():
            return f"error: {self.sentence}"
        text = self.log.read_text(encoding="utf-8", errors="replace")
        tail = "\n".join(f"    {line}" for line in text.splitlines()[-TAIL_LINES:])
        return f"error: {self.sentence}; log: {self.log}\n{tail}"


class CommandError(ClusterError):
    """A program that we ran failed; `code` is its exit status, `output` its standard error."""

    def __init__(self, sentence: str, code: int, output: str, log: Path | None) -> None:
        super().__init__(sentence, log)
        self.code = code
        self.output = output

    def report(self) -> str:
        """Return the sentence with the log's end, or with what the program said."""
        said = "\n".join(f"    {line}" for line in self.output.splitlines()[-TAIL_LINES:])
        return super().report() + (f"\n{said}" if said else "")
