"""Running trials: one by one in this process, or by Ray on as many machines as there are."""
