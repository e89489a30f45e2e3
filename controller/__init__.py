"""Kubernetes machinery: watch, cache, queue, reconcile, apply. Knows no RocketMQ.

The way of one event: `client` (transport) -> `listwatch` (pure) -> `informer` -> `store` ->
`triggers` -> `workqueue` -> `runner` -> a reconciler -> `diff`/`apply`. See ARCHITECTURE.md.
"""
