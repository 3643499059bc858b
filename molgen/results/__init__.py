"""The library of molecules, and how it is written."""
