"""WebSockets through the router, frame by frame over real sockets (RFC 6455)."""
