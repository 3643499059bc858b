"""Numba kernels: numbers in arrays, no Python objects."""
