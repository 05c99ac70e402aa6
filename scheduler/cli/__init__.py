"""The command line: one verb per module of `verbs/`, every error one line on stderr, every ending a documented status.

Exit statuses: 0 done, nothing to do included; 1 the answer is no; 2 bad usage, configuration or input; 3 store or hosts
unreachable; 4 a step failed or is unresolved. 130: interrupted from the keyboard before there was an answer.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cluster.errors import TrimtabError
from scheduler.cli.context import Context
from scheduler.cli.parser import UsageError, parse

INTERRUPTED = 130
DEFECT = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb that the arguments name (`None`: this process's); return its exit status. Never raises or exits."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    context = Context()
    try:
        verb = parse(arguments, context)
        return 0 if verb is None else verb()
    except UsageError as error:
        context.complain(f"{error} (see '{error.help_command}')")
        return error.exit_status
    except TrimtabError as error:
        context.complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        context.complain("interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort: a person gets one line, and the whole story with -v
        if context.verbose:
            import traceback

            traceback.print_exc()
        context.complain(
            f"a defect of trimtab: {type(error).__name__}: {error}: please report it, with what -v prints in addition"
        )
        return DEFECT
    finally:
        context.flush()
