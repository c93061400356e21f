"""The pure core: data, one table of transitions, decisions. No clock, no random, no I/O."""
