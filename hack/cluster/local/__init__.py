"""Local mode: one whole node in network, mount and PID namespaces of its own."""
