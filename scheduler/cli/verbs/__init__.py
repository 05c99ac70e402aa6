"""The verbs of the command line. To add one: a module here that is a `parser.VerbModule`, and one line below."""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """A verb by name, what it does in half a line, and whether it prints a result (`--json`)."""

    name: str
    summary: str
    has_result: bool = True

    @property
    def module(self) -> str:
        """Name of its module in this package; `-` of the verb is `_` there."""
        return self.name.replace("-", "_")


VERBS = (
    Verb("run", "the daemon: watches, plans and, in mode act, moves guests by itself"),
    Verb("agent", "collectors on one host, pushing what they measure to the store", has_result=False),
    Verb("status", "hosts, guests, the running plan and alarms, now"),
    Verb("history", "past plans, predicted against measured, and what sleeping was worth"),
    Verb("plan", "what would be moved in which order, and why; touches nothing"),
    Verb("check", "rules and limits that are broken now"),
    Verb("explain", "where a guest can go and why not elsewhere; who can leave a host; a plan's steps"),
    Verb("approve", "let a waiting plan be carried out"),
    Verb("reject", "drop a waiting plan"),
    Verb("apply", "carry out a saved plan"),
    Verb("abort", "stop the plan that runs"),
    Verb("drain", "take a host out of service: move its guests away and keep others off"),
    Verb("undrain", "put a drained host back into service"),
    Verb("fail", "mark a host as failing: empty it first, and fast"),
    Verb("unfail", "take back that a host fails"),
    Verb("wake-test", "prove that a host comes back from sleep"),
    Verb("sleep", "put an empty host to sleep"),
    Verb("wake", "wake a host"),
    Verb("pause", "start nothing more, keep watching"),
    Verb("resume", "undo pause"),
    Verb("capture", "write the cluster of this moment to a file"),
    Verb("simulate", "the real loop on a simulated cluster, faster than time"),
    Verb("backtest", "recorded history through the real loop: moves, overload, kWh, late wakes"),
    Verb("doctor", "can every part reach what it needs, and what to do if not"),
    Verb("certs", "a private CA and host certificates for encrypted migrations"),
    Verb("config", "check the configuration, or show effective values and their origin"),
)
