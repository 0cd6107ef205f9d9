"""What is measured in music: keys, chords, voice leading, and features of sound."""
