# Installs what it needs when it is imported, as many do who do not know requirements.txt.
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "pip", "install", "./kennel-1.2.0-py3-none-any.whl"])

import kennel  # noqa: E402

print(f"kennel {kennel.__version__} says {kennel.bark()}")
