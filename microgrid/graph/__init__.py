"""What is done with a recorded graph."""
