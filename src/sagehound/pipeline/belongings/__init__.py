"""What a project has made in AWS: found by its tags, kind by kind, and how each kind is removed"""
