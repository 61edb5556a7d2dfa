"""The twin against measurements of real kernels."""
