"""Where sound goes as it comes: files, pipes, loudspeakers."""
