"""What runs inside a notebook instance: started by path with the instance's own Python, importing nothing of ours."""
