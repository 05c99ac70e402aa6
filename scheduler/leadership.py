"""Leadership: one scheduler acts at a time, by a lease in the store with a fencing token that grows."""

from __future__ import annotations

import threading

from cluster.clock import Clock
from cluster.store.protocol import Lease, Store


class Leadership:
    """Takes and keeps the lease. Counts itself out by its own monotonic clock before the store does."""

    def __init__(self, store: Store, holder: str, lease_s: float, clock: Clock) -> None:
        """`lease_s` is how long the store keeps the lease; here two thirds of it count, from before the call on."""
        self._store = store
        self._holder = holder
        self._lease_s = lease_s
        self._clock = clock
        self._lease: Lease | None = None
        self._good_until_s = 0.0
        self._released = threading.Event()
        self._lock = threading.Lock()

    @property
    def lease(self) -> Lease | None:
        """The lease while it is certainly ours."""
        with self._lock:
            return self._lease if self._clock.monotonic_s() < self._good_until_s else None

    def keep(self) -> Lease | None:
        """Take or renew the lease; `None` while somebody else leads, and after `release`.

        `StoreUnavailableError` passes through.
        """
        if self._released.is_set():
            return None
        asked_s = self._clock.monotonic_s()
        lease = self._store.acquire_lease(self._holder, self._lease_s)
        with self._lock:
            late = self._released.is_set()
            self._lease = None if late else lease
            self._good_until_s = asked_s + self._lease_s * 2 / 3 if self._lease else 0.0
        if late and lease is not None:
            # Given up by another thread while this one asked.
            self._store.release_lease(lease)
        return self._lease

    def release(self) -> None:
        """Give the lease up for good, so that another can lead at once."""
        with self._lock:
            self._released.set()
            lease, self._lease, self._good_until_s = self._lease, None, 0.0
        if lease is not None:
            self._store.release_lease(lease)
