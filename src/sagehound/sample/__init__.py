"""480 pictures of Fashion-MNIST in class folders, for a first run without any network."""
