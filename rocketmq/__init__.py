"""Apache RocketMQ as such: its protocol, administration and configuration. No Kubernetes."""
