"""What DagNats costs, measured side by side with what any runner must pay and with two others of its kind."""
