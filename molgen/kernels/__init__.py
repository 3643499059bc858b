"""Numba kernels: numbers in arrays, no Python objects.

A kernel file takes no function and no constant from another one: Numba compares a cached function
with its own file alone, so that what it took from elsewhere could be out of date.
"""
