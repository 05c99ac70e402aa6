"""How a function is compiled: without Python, without the interpreter's lock, kept on disk for the next start.

Compiled code here makes no arrays, so it is built without counting references (`_nrt`): counting those of the
many arrays of a state at every call made the search forty times slower.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeVar, cast

from numba import config, njit

from scheduler.solver.kernels.kept import KeptCode

Function = TypeVar("Function", bound=Callable[..., object])

# Loops here go over a handful of resources or groups. Widened to vectors they take a third longer where there are many
# groups, and a fifth longer to compile. Numba has no such switch for a single function.
config.LOOP_VECTORIZE = 0

entries: list[Any] = []
"""The dispatchers of all functions that Python calls."""
examples: dict[type, Callable[[Any], object]] = {}
"""How to make a value of each type of argument from some tables, for compiling ahead of the first call."""


def example(kind: type, make: Callable[[Any], object]) -> None:
    """Tell how to make a value of a type that kernels take as an argument, from the `Tables` of some instance.

    Not needed of `Tables`, `State` and their parts, of int, float and bool, and of
    arrays of int64, float64 and bool of one dimension.
    """
    examples[kind] = make


def entry(function: Function) -> Function:
    """Return the function compiled at its first call and kept; no fast maths, so that figures repeat.

    For Python to call: compiled code may not, since kept code cannot be compiled into other.

    Each argument is of one type for good, which its annotation tells (see `example`). What is compiled into it,
    constants too, stands in modules of this package or in such as import it: of others an edit is not noticed.
    """
    dispatcher = njit(nogil=True, _nrt=False)(function)
    if not config.DISABLE_JIT:
        dispatcher._cache = KeptCode(function)
        dispatcher.get_call_template = partial(_refuse, function.__qualname__)
        entries.append(dispatcher)
    return cast(Function, dispatcher)


def _refuse(name: str, *_: object) -> NoReturn:
    raise TypeError(f"compiled code calls {name}, which is an `entry`: give it a `compiled` one for both to call")


def compiled(function: Function) -> Function:
    """Return the function compiled into the code that calls it, for compiled code alone."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": True}
    return cast(Function, njit(nogil=True, _nrt=False, **options)(function))
