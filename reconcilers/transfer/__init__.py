"""The course of a TopicTransfer: from what is seen and recorded to the next thing to do. Pure.

`decide` either moves (something new is written to the status), acts (under what is written there
already) or waits. It never does two of them at once, so whatever is done was announced before.
"""
