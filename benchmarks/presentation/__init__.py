"""Text, tables and figures for every room that writes a report: plain text, CSV, matplotlib and its styles."""
