"""From trials to what people read: the frame, the findings, tables, sentences and plots. Imports no torch."""
