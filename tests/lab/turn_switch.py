"""What an emulated BMC runs to ask the lab's power switch, also as `ipmi_sim`'s program for chassis control.

    python3 -S tests/lab/turn_switch.py PORT HOST get power
    python3 -S tests/lab/turn_switch.py PORT HOST set power|shutdown|reset 0|1

Standard library only: it runs once for every look.
"""

from __future__ import annotations

import socket
import sys

ANSWER_S = 30.0


def ask(port: int, host: str, word: str) -> str:
    """Return `on` or `off`; `OSError` with what the switch says when it does not do it."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S) as switch:
        switch.sendall(f"{host} {word}\n".encode())
        answer = switch.makefile("r").readline().strip()
    if answer not in ("on", "off"):
        raise OSError(answer or "the power switch is gone")
    return answer


def main(arguments: list[str]) -> int:
    """Do what `ipmi_sim` asks; it reads `power:1` or `power:0`, and takes another exit status as a refusal."""
    port, host, verb, what = int(arguments[0]), arguments[1], arguments[2], arguments[3:]
    try:
        if verb == "get":
            print(f"power:{int(ask(port, host, 'get') == 'on')}")
        elif what[0] == "shutdown":
            ask(port, host, "soft")
        elif what[0] == "power":
            ask(port, host, "on" if what[1] == "1" else "off")
        else:
            raise OSError(f"{what[0]} is nothing this lab does")
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
