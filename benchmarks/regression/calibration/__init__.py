"""How often `regress` is wrong on this machine: equal code against itself, and injected slowdowns of known size."""
