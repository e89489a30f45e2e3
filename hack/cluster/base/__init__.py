"""What every part of the cluster tool stands on: versions, folders, commands, progress, errors."""
