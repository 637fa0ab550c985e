"""What is run to be measured: modules, single calls, single kernels."""
