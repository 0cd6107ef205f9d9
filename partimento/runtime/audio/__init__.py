"""Models of sound: codec, latent generator, controls, and the performer over them."""
