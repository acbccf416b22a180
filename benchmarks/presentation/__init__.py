"""What people see: plain text, CSV, figures and their styles, for every room that writes a report."""
