"""What networks are trained to do, as functions of tensors."""
