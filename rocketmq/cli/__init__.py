"""`python -m rocketmq`: a debugger's view of clusters, where no mqadmin is at hand."""
