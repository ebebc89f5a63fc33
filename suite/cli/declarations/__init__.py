"""The options of each command. Light: what a command does is imported when it runs."""
