"""Start this process's own Ray cluster in a thread, while the command reads and checks its input."""

from __future__ import annotations

import threading


class EarlyRay:
    """Starts Ray in a thread when it is created. Ray is imported in that thread too."""

    def __init__(self, dashboard: bool = False) -> None:
        self._dashboard = dashboard
        self._error: BaseException | None = None
        self._joined = False
        self._started, self._over = threading.Event(), threading.Event()
        # A daemon thread, so that a second Ctrl-C ends the process even if Ray never answers.
        threading.Thread(target=self._run, name="ray-start", daemon=True).start()

    def _run(self) -> None:
        try:
            from suite.run.ray.starting import start_ray  # Ray may not be installed: `join` says so, too

            start_ray(self._dashboard)
        except BaseException as error:
            self._error = error
        self._started.set()
        # The system kills Ray's processes when the thread that started them ends, so the thread must go on.
        self._over.wait()

    def join(self) -> None:
        """Wait until Ray runs. The caller must shut Ray down.

        Raises:
            InputError: Ray doesn't start.
        """
        self._started.wait()
        self._joined = True
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the thread. If `join` was never called, shut Ray down."""
        if not self._joined:
            self._started.wait()
            if self._error is None:
                import ray

                ray.shutdown()
        self._over.set()
