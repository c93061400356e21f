"""What is shown of a run: projections of its events and its output."""
