"""Apache RocketMQ as such: configuration files, memory. Knows no Kubernetes."""
