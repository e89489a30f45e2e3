"""An etcd, an API server and their keys; the same pieces serve `control-plane` and `local`."""
