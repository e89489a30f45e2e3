"""RocketMQ on Kubernetes: the only package that knows both `controller` and `rocketmq`."""
