"""Pure builders: a custom resource and the facts about it -> the manifests it should have."""
