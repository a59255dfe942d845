"""Instances: machines of their own as processes of this machine, with a root, a first boot and a metadata service."""
