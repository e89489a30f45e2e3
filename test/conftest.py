"""What every asynchronous test needs."""

import asyncio

from hypothesis import HealthCheck, settings

# pytest-asyncio asks for the current event loop before its first test; Python 3.11 then makes one
# that nobody closes, and its ResourceWarning fails whichever test runs when it is collected. Once
# the loop was set, even to none, none is made.
asyncio.set_event_loop(None)

# A slow machine is no defect: what an example may cost is said by pytest-timeout alone.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
