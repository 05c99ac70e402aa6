"""Running a job so that its trouble ends nothing else: said once when it begins and once when it is over."""

from __future__ import annotations

from collections.abc import Callable

from cluster.errors import TrimtabError, UnreachableError
from scheduler.loop import Job


class Trouble:
    """What is wrong with which job, as last seen. Jobs may run on different threads."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._kinds: dict[str, str] = {}

    def run(self, job: Job) -> None:
        """Run a job. What it raises on purpose is said; a defect of ours passes through."""
        try:
            job.run()
        except UnreachableError as error:
            # The same loss reads differently from call to call (refused, closed, no answer): it is said once.
            self.note(job.name, f"{error}; not acting until it is back", type(error).__name__)
        except TrimtabError as error:
            self.note(job.name, str(error))
        else:
            if self._kinds.pop(job.name, None) is not None and not self._kinds:
                self._say("all is well again")

    def note(self, job: str, text: str, kind: str = "") -> bool:
        """Say what is wrong with a job, unless a job is in trouble of the same kind (the text, where none is given).

        Tells whether it was said.
        """
        is_news = (kind or text) not in self._kinds.values()
        self._kinds[job] = kind or text
        if is_news:
            self._say(text)
        return is_news
