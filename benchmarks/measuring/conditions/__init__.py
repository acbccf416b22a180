"""What a process is measured under: the addresses of its code and arrays, denormal numbers, a machine alone."""
