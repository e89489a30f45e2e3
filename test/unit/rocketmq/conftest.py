"""What every asynchronous test of this folder needs."""

import asyncio

# pytest-asyncio asks for the current event loop before its first test; Python 3.11 then makes one
# that nobody closes, and its ResourceWarning fails whichever test runs when it is collected. Once
# the loop was set, even to none, none is made.
asyncio.set_event_loop(None)
