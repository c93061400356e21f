"""DagNats runs declarative pipelines: a file in, a journal of events, an exit code out."""

__version__ = "0.1.0"
