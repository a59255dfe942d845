"""The image classifier: pictures in class folders become a model that turns a picture into scores."""
