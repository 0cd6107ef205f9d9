"""What is heard in music: keys, chords, voice leading, and features of sound."""
