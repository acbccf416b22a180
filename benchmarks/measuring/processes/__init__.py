"""Worker processes: started, asked, watched and ended, from the asking side and from their own."""
