"""Which kind of cluster to make, and the two kinds that others provide: kind and existing."""
