"""The layers that families of models share."""
