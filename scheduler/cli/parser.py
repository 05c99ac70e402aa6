"""From arguments to a verb ready to run. Only the named verb's module is loaded; global options may stand anywhere."""

from __future__ import annotations

import argparse
import importlib
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn, Protocol, cast

from cluster.errors import InputError
from scheduler.cli.context import Context
from scheduler.cli.verbs import VERBS, Verb

PROGRAM = "trimtab"
ABOUT = "Balances, drains and repairs plain libvirt/KVM clusters by live migration. It only reports until told to act."
EPILOG = """\
examples:
  trimtab plan --from cluster.json          what would be moved in a saved cluster, and why
  trimtab status                            the cluster as it is now
  trimtab run --config /etc/trimtab/trimtab.toml
  trimtab plan --help                       a verb's own options and examples

exit status: 0 done, 1 the answer is no, 2 bad usage, configuration or input, 3 store or hosts unreachable,
4 a step failed or is unresolved"""


class UsageError(InputError):
    """Arguments that make no sense together or alone; `help_command` shows what is allowed."""

    def __init__(self, message: str, help_command: str) -> None:
        super().__init__(message)
        self.help_command = help_command


class VerbModule(Protocol):
    """What a verb's module has."""

    DESCRIPTION: str
    EXAMPLES: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's own arguments."""

    def run(self, args: argparse.Namespace, context: Context) -> int:
        """Do it and return the exit status. Raises `TrimtabError`."""


class _Parser(argparse.ArgumentParser):
    """A parser that raises instead of exiting."""

    def error(self, message: str) -> NoReturn:
        verb = self.prog.removeprefix(PROGRAM).strip()
        raise UsageError(f"{verb}: {message}" if verb else message, f"{self.prog} --help")


def parse(arguments: Sequence[str], context: Context) -> Callable[[], int] | None:
    """Put the global options into the context and return the verb to run; `None` when help was printed instead.

    Raises `UsageError` for anything that is not allowed.
    """
    options = _Parser(prog=PROGRAM, add_help=False, allow_abbrev=False)
    _add_global(options, argparse.SUPPRESS)
    given, rest = options.parse_known_args(arguments)
    context.config = getattr(given, "config", None)
    context.overrides = tuple(getattr(given, "overrides", None) or ())
    context.as_json = getattr(given, "as_json", False)
    context.verbose = getattr(given, "verbose", False)
    if not rest or rest[0] in ("-h", "--help", "help"):
        if not rest and arguments:
            raise UsageError("which verb?", f"{PROGRAM} --help")
        context.write(_overview())
        return None
    if rest[0] == "--version":
        context.write(_version())
        return None
    verb = _find(rest[0])
    module = cast(VerbModule, importlib.import_module(f"scheduler.cli.verbs.{verb.module}"))
    parser = _verb_parser(verb, module)
    if any(word in ("-h", "--help") for word in _before_dashes(rest[1:])):
        context.write(parser.format_help())
        return None
    args = parser.parse_args(rest[1:])
    if context.as_json and not verb.has_result:
        raise UsageError(f"{verb.name}: it prints no result; leave --json out", f"{PROGRAM} {verb.name} --help")
    return partial(module.run, args, context)


def _before_dashes(words: Sequence[str]) -> Sequence[str]:
    return words[: words.index("--")] if "--" in words else words


def _find(word: str) -> Verb:
    for verb in VERBS:
        if verb.name == word:
            return verb
    if word.startswith("-"):
        raise UsageError(f"unknown option {word} before the verb", f"{PROGRAM} --help")
    import difflib

    close = difflib.get_close_matches(word, [verb.name for verb in VERBS], n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise UsageError(f"unknown verb {word}{hint}", f"{PROGRAM} --help")


def _add_global(parser: argparse.ArgumentParser, default: object, *, has_result: bool = True) -> None:
    group = parser.add_argument_group("options of every verb")
    group.add_argument(
        "--config", metavar="FILE", type=Path, default=default, help="the configuration (/etc/trimtab/trimtab.toml)"
    )
    group.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", action="append", default=default,
        help="a value over the configuration's, such as scheduler.level=2; may be repeated",
    )  # fmt: skip
    if has_result:
        group.add_argument(
            "--json", dest="as_json", action="store_true", default=default, help="the result as JSON, alone on stdout"
        )
    group.add_argument("-v", "--verbose", action="store_true", default=default, help="say more on stderr")


def _verb_parser(verb: Verb, module: VerbModule) -> _Parser:
    parser = _Parser(
        prog=f"{PROGRAM} {verb.name}",
        description=textwrap.fill(module.DESCRIPTION, 98),
        epilog="examples:\n" + module.EXAMPLES.rstrip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    _add_global(parser, argparse.SUPPRESS, has_result=verb.has_result)
    return parser


def _overview() -> str:
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} VERB [options]",
        description=f"{ABOUT}\n\n" + "\n".join(f"  {verb.name:<9} {verb.summary}" for verb in VERBS),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="the version")
    _add_global(parser, argparse.SUPPRESS)
    return parser.format_help()


def _version() -> str:
    from importlib import metadata

    try:
        return f"{PROGRAM} {metadata.version(PROGRAM)}"
    except metadata.PackageNotFoundError:
        return f"{PROGRAM} (not installed)"
