"""Pure functions: a custom resource, facts, the outcome and now -> its status."""
