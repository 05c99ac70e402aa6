"""The way to a store: from `store.url` to the back end that it names. Redis's client is loaded only when needed."""

from __future__ import annotations

from pathlib import Path

from cluster.clock import Clock
from cluster.config.settings import StoreSettings
from cluster.errors import InputError
from cluster.store.memory import MemoryStore
from cluster.store.protocol import Store


def open_store(settings: StoreSettings, clock: Clock, own: bool = False) -> Store:
    """Return the store that the settings name; the caller closes it.

    `own` is for the daemon: an embedded server then is started here and lives until `close`. Without it, a verb joins
    the running daemon's embedded server, or has one of its own for as long as it takes. A server elsewhere is not
    connected to before the first call.
    """
    scheme = settings.url.partition(":")[0]
    if settings.url == "memory:":
        return MemoryStore(clock)
    if scheme == "embedded":
        if settings.url != "embedded:":
            raise InputError(f"store.url: found {settings.url}; write embedded: alone and set store.directory")
        from cluster.store.embedded import open_embedded
        from cluster.store.redis_store import RedisStore

        return RedisStore(open_embedded(Path(settings.directory), settings.timeout_s, own))
    from cluster.store.address import redis_server
    from cluster.store.redis_store import RedisStore

    return RedisStore(redis_server(settings))
