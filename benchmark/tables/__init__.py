"""Records become tables: results, layout and formats; nothing here holds a number against the paper."""
