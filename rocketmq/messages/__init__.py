"""What can be asked of servers: one function for each operation, from values to `Operation`. Pure.

Each module is one area. A function builds the request and knows how its answer reads; who carries
the request, and where to, is `rocketmq.admin`'s affair.
"""
