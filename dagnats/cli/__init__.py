"""The command line: arguments in, one call, an exit code out. The only place that prints an error."""
