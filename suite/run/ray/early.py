"""A Ray cluster of this process's own that starts in a thread, while the command reads and checks what it needs."""

from __future__ import annotations

import threading


class EarlyRay:
    """Begins to start Ray when it is made. Ray is imported in the thread, too."""

    def __init__(self, dashboard: bool = False) -> None:
        self._dashboard = dashboard
        self._error: BaseException | None = None
        self._joined = False
        # A daemon: a second Ctrl-C must end the process even if Ray never answers.
        self._thread = threading.Thread(target=self._start, name="ray-start", daemon=True)
        self._thread.start()

    def _start(self) -> None:
        from suite.run.ray.starting import start_ray

        try:
            start_ray(self._dashboard)
        except BaseException as error:
            self._error = error

    def join(self) -> None:
        """Wait until Ray runs; whoever calls this uses it and shuts it down. Raises what `start_ray` raises."""
        self._thread.join()
        self._joined = True
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Shut Ray down if nobody has joined it."""
        if self._joined:
            return
        self._thread.join()
        if self._error is None:
            import ray

            ray.shutdown()
