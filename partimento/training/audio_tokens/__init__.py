"""Training of models that write sound as codes: codecs with codebooks, and priors over codes."""
