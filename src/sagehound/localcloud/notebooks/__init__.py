"""Notebook instances as processes of this machine: lifecycle scripts, then JupyterLab behind one-time links."""
