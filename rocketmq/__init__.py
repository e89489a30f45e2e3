"""Apache RocketMQ as such: its remoting protocol, admin operations, files. Knows no Kubernetes.

    cli -> clusters -> admin, fanout -> pool -> connection -> session -> frames, messages

`pool` has the connections, `admin` one method for each operation of one server, `clusters` what
concerns many of them, `messages` and `routes` the values; docs/rocketmq-admin.md begins with
examples. `properties` and `memory` are about the servers' files and JVMs.
"""
