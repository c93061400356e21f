"""The only package that knows NATS: the server, the connection, and what travels over it."""
