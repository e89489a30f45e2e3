"""The gate: pure decisions about what may be done next to servers that run.

    facts -> members -> broker, name_service -> Decision -> act (reconcilers/act.py)

Every restart, every change of a running server and every removal goes through here. Fail closed: a
fact that is not known is a "no" whose words stand in the status (design.md, "The gate").
"""
