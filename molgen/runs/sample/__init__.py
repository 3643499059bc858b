"""The run of ``molgen sample``."""
