"""Workers pull tasks, run them, and report."""
