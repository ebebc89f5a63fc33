"""Run trials with Ray, on this machine or on a cluster."""

import os

# Ray reads these when it is imported or when its workers start. So they are set here, before any module of this package
# imports Ray. A value that the user has set is kept.
for _name, _value in {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # hide GPUs from trials that don't use one
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else, under `uv run`, each worker installs its own environment
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # together with actor reuse: 0.01 s per trial instead of 4 s
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the driver handles Ctrl-C
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # else Tune starts a searcher's trials one at a time; ours has a limit
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}.items():
    os.environ.setdefault(_name, _value)
