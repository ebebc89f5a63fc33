"""A Ray cluster of this process's own that starts in a thread, while the command reads and checks what it needs."""

from __future__ import annotations

import threading


class EarlyRay:
    """Begins to start Ray when it is made. Ray is imported in the thread, too."""

    def __init__(self, dashboard: bool = False) -> None:
        self._dashboard = dashboard
        self._error: BaseException | None = None
        self._joined = False
        self._started, self._over = threading.Event(), threading.Event()
        # A daemon: a second Ctrl-C must end the process even if Ray never answers.
        threading.Thread(target=self._run, name="ray-start", daemon=True).start()

    def _run(self) -> None:
        from suite.run.ray.starting import start_ray

        try:
            start_ray(self._dashboard)
        except BaseException as error:
            self._error = error
        self._started.set()
        # Ray's processes are killed by the system when the thread that started them ends, not the process.
        self._over.wait()

    def join(self) -> None:
        """Wait until Ray runs; whoever calls this uses it and shuts it down. Raises what `start_ray` raises."""
        self._started.wait()
        self._joined = True
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Let the thread end. Ray is shut down if nobody has joined it."""
        if not self._joined:
            self._started.wait()
            if self._error is None:
                import ray

                ray.shutdown()
        self._over.set()
